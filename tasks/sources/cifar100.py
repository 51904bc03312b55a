"""CIFAR-100: 100 classes of 600 colour images, 32 x 32 (Krizhevsky 2009), which few-shot data sets divide anew.

Read from either layout, both with training and test images together:

    ROOT/cifar-100-python/{train,test,meta}     the official batches
    ROOT/cifar100/data/CLASS/*.png              class folders, as CIFAR-FS is distributed

A class is named `cifar100/CLASS` in every data set made of it, so that what is learned in one is known in the other.
"""

import hashlib
import json
from pathlib import Path

import torch
from torch import Tensor

from tasks.archive import Archive
from tasks.bank import ImageBank
from tasks.card import Card
from tasks.decode import Decoder
from tasks.labelled import by_class
from tasks.published import published
from tasks.sources.cifar_batches import read_batches

LIST = Path(__file__).with_name("cifar100.json")
"""Superclass -> classes, and where they come from."""
PER_CLASS = 600
"""Images of a class, 500 and 100 in the original division."""
BATCHES, FOLDERS = "cifar-100-python", "cifar100/data"
"""Where the two layouts lie."""
CARD = Card(
    title="CIFAR-100",
    channels=(3,),
    side=32,
    per_class=PER_CLASS,
    archives=(
        Archive(
            url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
            md5="eb9058c3a382ffc7106e4002c42a8d85",
            size=169_001_437,
            folder=BATCHES,
        ),
    ),
    licence="none stated",
    layouts=((BATCHES,), (FOLDERS,)),
    origin="run metanas data fetch cifar_fs, or unpack https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz "
    "in the data directory",
)

_VERSION = 1  # of the decoding below: a change makes old caches strangers


def cifar100(root: Path, resolution: int = 32, cache: Path | None = None, *, skip_corrupt: bool = False) -> ImageBank:
    """All 100 classes in alphabetical order, `[3, resolution, resolution]`.

    Args:
        root: holds `cifar-100-python` or `cifar100/data`; the first is taken where both are there.
        resolution: height and width in pixels; smaller ones are averaged down, larger ones interpolated.
        cache: see `tasks.published.published`, as for `skip_corrupt` and the errors.
        skip_corrupt: leave out files that cannot be read.
    """
    return published(
        "cifar100", CARD, _read, root, resolution, cache, version=_VERSION, lists=(LIST,), skip_corrupt=skip_corrupt
    )


def class_name(name: str) -> str:
    """The class `name` of CIFAR-100, as every data set made of its images calls it."""
    return f"cifar100/{name}"


def superclasses() -> dict[str, tuple[str, ...]]:
    """The 20 superclasses with the names of their five classes."""
    listed = json.loads(LIST.read_text(encoding="utf-8"))["superclasses"]
    return {group: tuple(map(class_name, classes)) for group, classes in listed.items()}


def _read(root: Path, decoder: Decoder) -> dict[str, Tensor]:
    (layout,) = CARD.require(root)
    read = _read_batches if layout == BATCHES else _read_folders
    names = sorted(name for group in superclasses().values() for name in group)
    images = read(root / layout, names, decoder)
    return {name: _in_order(images[name]) for name in names}


def _read_folders(path: Path, names: list[str], decoder: Decoder) -> dict[str, Tensor]:
    folders = {name: path / name.removeprefix(class_name("")) for name in names}
    remedy = f"move {path} away and {CARD.origin}"
    return {name: decoder.class_folder(folder, PER_CLASS, remedy) for name, folder in folders.items()}


def _read_batches(path: Path, names: list[str], decoder: Decoder) -> dict[str, Tensor]:
    images: dict[str, list[Tensor]] = {name: [] for name in names}
    for train in (True, False):
        part = read_batches("CIFAR100", path, train=train, remedy=CARD.origin)
        labels = [class_name(name) for name in part.names]
        for name, pixels in by_class(part.pixels, part.labels, labels, decoder.image, remedy=CARD.origin).items():
            images[name].append(pixels)
    return {name: torch.cat(parts) for name, parts in images.items()}


def _in_order(images: Tensor) -> Tensor:
    """`images` `[n, c, h, w]` in an order of their own, so that both layouts give the same episodes."""
    return torch.stack(sorted(images, key=lambda pixels: hashlib.sha256(pixels.numpy().tobytes()).digest()))
