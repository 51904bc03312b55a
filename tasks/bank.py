"""A bank: all images of some classes, decoded once, in one immutable tensor.

Images lie class after class, so that a class is a slice and an episode is index arithmetic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from tasks.errors import DataError
from tasks.table import look_up, table_of, tabled


@dataclass(frozen=True)
class ImageBank:
    """Images of named classes as uint8, class after class."""

    name: str
    """Data set and split, for messages and results: `omniglot/test`."""
    classes: tuple[str, ...]
    """Class names, in the order in which the images lie."""
    pixels: Tensor
    """uint8 images `[n, c, h, w]`; may hold images of further classes. Best laid out by `tasks.table`."""
    starts: Tensor
    """The row where each class begins, `[classes]`, int64, on the CPU."""
    counts: Tensor
    """Images in each class, `[classes]`, int64, on the CPU."""
    skipped: tuple[str, ...] = ()
    """Files that could not be read and were left out."""

    def __post_init__(self) -> None:
        _check_pixels(self.name, self.pixels)
        if len(set(self.classes)) != len(self.classes):
            double = sorted({c for c in self.classes if self.classes.count(c) > 1})[0]
            raise DataError(f"{self.name}: class names must be unique, got {double!r} twice")
        if not len(self.starts) == len(self.counts) == len(self.classes) > 0:
            raise DataError(
                f"{self.name}: expected a start and a count for each of {len(self.classes)} classes, at least one, "
                f"got {len(self.starts)} and {len(self.counts)}"
            )
        if int(self.starts.min()) < 0 or int((self.starts + self.counts).max()) > len(self.pixels):
            raise DataError(f"{self.name}: the classes reach beyond the {len(self.pixels)} images")

    @staticmethod
    def from_classes(name: str, images: Mapping[str, Tensor], skipped: tuple[str, ...] = ()) -> "ImageBank":
        """A bank of `images`, class name -> uint8 `[n, c, h, w]`."""
        if not images:
            raise DataError(f"{name}: expected at least one class of images, got none")
        empty = [label for label, part in images.items() if not len(part)]
        if empty:
            raise DataError(f"{name}: expected images of every class, got none of {empty[0]!r}; leave the class out")
        for part in images.values():
            _check_pixels(name, part)
        counts = torch.tensor([len(part) for part in images.values()])
        pixels = tabled(list(images.values()))
        return ImageBank(name, tuple(images), pixels, counts.cumsum(0) - counts, counts, skipped)

    @property
    def image(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        c, h, w = self.pixels.shape[1:]
        return c, h, w

    def __len__(self) -> int:
        """Images of all classes."""
        return int(self.counts.sum())

    def rows(self) -> Tensor:
        """The rows of `pixels` that hold the images, class after class, `[n]`."""
        spans = zip(self.starts.tolist(), (self.starts + self.counts).tolist(), strict=True)
        return torch.cat([torch.arange(first, last) for first, last in spans])

    def images_of(self, class_name: str) -> Tensor:
        """The images of one class, uint8 `[n, c, h, w]`."""
        i = self.classes.index(class_name)
        return self.pixels[int(self.starts[i]) : int(self.starts[i] + self.counts[i])]

    def place(self, index: Tensor) -> Tensor:
        """`index`, made on the CPU, on the device of the pixels; what a GPU still has to do is not waited for."""
        if self.pixels.is_cuda:
            return index.pin_memory().to(self.pixels.device, non_blocking=True)
        return index.to(self.pixels.device)

    def floats(self, rows: Tensor) -> Tensor:
        """The images in these rows of `pixels` as floats in [0, 1], of the default dtype, `[n, c, h, w]`."""
        if self._table is not None and torch.get_default_dtype() == torch.float32:
            return look_up(self._table, rows).view(len(rows), *self.image)
        return in_unit_range(self.pixels.index_select(0, self.place(rows)))

    @cached_property
    def _table(self) -> Tensor | None:
        return table_of(self.pixels)

    def subset(self, name: str, classes: Sequence[str]) -> "ImageBank":
        """The bank of `classes` alone, on the same pixels; raises `DataError` for a class that is not here."""
        missing = sorted(set(classes) - set(self.classes))
        if missing:
            raise DataError(
                f"{name}: the class list names {len(missing)} classes that {self.name} lacks, first {missing[0]!r}"
            )
        numbers = {label: i for i, label in enumerate(self.classes)}
        chosen = torch.tensor([numbers[label] for label in classes], dtype=torch.int64)
        return replace(self, name=name, classes=tuple(classes), starts=self.starts[chosen], counts=self.counts[chosen])

    def select(self, name: str, rows: Sequence[Tensor]) -> "ImageBank":
        """The bank of some images of each class, copied.

        Args:
            name: of the new bank.
            rows: for each class, which rows of `pixels`, at least one.
        """
        counts = torch.tensor([len(part) for part in rows])
        pixels = self.pixels.index_select(0, torch.cat(list(rows)).to(self.pixels.device))
        return replace(self, name=name, pixels=tabled([pixels]), starts=counts.cumsum(0) - counts, counts=counts)

    def to(self, device: torch.device | str) -> "ImageBank":
        """The same bank with its pixels on `device`, page-locked on the way to a GPU."""
        pixels = self.pixels
        if torch.device(device).type == "cuda" and pixels.device.type == "cpu":
            pixels = pixels.contiguous().pin_memory()  # dense: else the copy to the GPU is waited for
        return replace(self, pixels=pixels.to(device, non_blocking=True))

    def shared(self) -> "ImageBank":
        """The same bank in shared memory: sent to a process that was not forked, it is not copied."""
        return replace(self, pixels=tabled([self.pixels]).share_memory_())  # type: ignore[no-untyped-call]


def in_unit_range(pixels: Tensor) -> Tensor:
    """uint8 images as floats in [0, 1], of the default dtype."""
    return pixels.to(torch.get_default_dtype()).div_(255)


def _check_pixels(name: str, pixels: Tensor) -> None:
    if pixels.dtype != torch.uint8 or pixels.ndim != 4:
        raise DataError(f"{name}: pixels must be uint8 [n, c, h, w], got {pixels.dtype} {tuple(pixels.shape)}")
