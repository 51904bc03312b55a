"""A data set divided by image: training and test show the same classes, as the search for a single task wants it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from torch import Tensor

from tasks.bank import ImageBank
from tasks.card import Card
from tasks.decode import Decoder
from tasks.errors import DataError
from tasks.published import published

Part = Literal["train", "test"]
PARTS: tuple[Part, ...] = ("train", "test")

ReadPart = Callable[[Part, Path, Decoder], Mapping[str, Tensor]]
"""Reads one part below a data directory with a decoder: class name -> uint8 `[n, c, h, w]`."""


@dataclass(frozen=True)
class ImageSplit:
    """Training and test images of the same classes; `Dataset` divides classes instead."""

    name: str
    train: ImageBank
    test: ImageBank

    def __post_init__(self) -> None:
        if self.train.classes != self.test.classes:
            differing = sorted(set(self.train.classes) ^ set(self.test.classes))
            got = f"{differing[0]!r} in one of them" if differing else "another order of classes"
            raise DataError(f"{self.name}: training and test images must show the same classes, got {got}")
        if self.train.image != self.test.image:
            raise DataError(
                f"{self.name}: training and test images must have one size, "
                f"got {list(self.train.image)} and {list(self.test.image)}"
            )

    def __getitem__(self, part: Part) -> ImageBank:
        """The bank of one part."""
        return {"train": self.train, "test": self.test}[part]


def published_parts(
    name: str, card: Card, read: ReadPart, root: Path, resolution: int, cache: Path | None, *, version: int
) -> ImageSplit:
    """Both parts of a published data set, each in a cache file of its own; arguments and errors as of `published`."""
    train, test = (
        published(f"{name}/{part}", card, partial(read, part), root, resolution, cache, version=version)
        for part in PARTS
    )
    return ImageSplit(name, train, test)
