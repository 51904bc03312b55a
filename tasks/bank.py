"""A bank: all images of some classes, decoded once, in one immutable tensor.

Images lie class after class, so that a class is a slice and an episode is index arithmetic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.errors import DataError


@dataclass(frozen=True)
class ImageBank:
    """Images of named classes as uint8, class after class."""

    name: str
    """Data set and split, for messages and results: `omniglot/test`."""
    classes: tuple[str, ...]
    """Class names, in the order in which the images lie."""
    pixels: Tensor
    """uint8 images `[n, c, h, w]`."""
    offsets: Tensor
    """Where each class begins, and the end: `[classes + 1]`, int64, on the CPU."""

    def __post_init__(self) -> None:
        if self.pixels.dtype != torch.uint8 or self.pixels.ndim != 4:
            raise DataError(
                f"{self.name}: pixels must be uint8 [n, c, h, w], got {self.pixels.dtype} {tuple(self.pixels.shape)}"
            )
        if len(set(self.classes)) != len(self.classes):
            double = sorted({c for c in self.classes if self.classes.count(c) > 1})[0]
            raise DataError(f"{self.name}: class names must be unique, got {double!r} twice")
        if len(self.offsets) != len(self.classes) + 1 or int(self.offsets[-1]) != len(self.pixels):
            raise DataError(f"{self.name}: offsets do not fit {len(self.classes)} classes of {len(self.pixels)} images")

    @staticmethod
    def from_classes(name: str, images: Mapping[str, Tensor]) -> "ImageBank":
        """A bank of `images`, class name -> uint8 `[n, c, h, w]`."""
        if not images:
            raise DataError(f"{name}: expected at least one class of images, got none")
        counts = torch.tensor([0, *(len(part) for part in images.values())])
        return ImageBank(name, tuple(images), torch.cat(list(images.values())), counts.cumsum(0))

    @property
    def image(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        c, h, w = self.pixels.shape[1:]
        return c, h, w

    @property
    def counts(self) -> Tensor:
        """Images in each class, `[classes]`."""
        return self.offsets[1:] - self.offsets[:-1]

    def images_of(self, class_name: str) -> Tensor:
        """The images of one class, uint8 `[n, c, h, w]`."""
        i = self.classes.index(class_name)
        return self.pixels[int(self.offsets[i]) : int(self.offsets[i + 1])]

    def subset(self, name: str, classes: Sequence[str]) -> "ImageBank":
        """The bank of `classes` alone; raises `DataError` for a class that is not here."""
        missing = sorted(set(classes) - set(self.classes))
        if missing:
            raise DataError(
                f"{name}: the class list names {len(missing)} classes that {self.name} lacks, first {missing[0]!r}"
            )
        return ImageBank.from_classes(name, {c: self.images_of(c) for c in classes})

    def to(self, device: torch.device | str) -> "ImageBank":
        """The same bank with its pixels on `device`."""
        return ImageBank(self.name, self.classes, self.pixels.to(device), self.offsets)
