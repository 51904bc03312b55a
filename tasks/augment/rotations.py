"""Class augmentation: every class turned, as classes of their own."""

from dataclasses import replace

import torch

from tasks.dataset import Dataset
from tasks.errors import DataError
from tasks.split import ClassSplit
from tasks.table import tabled

_TURNS = ("", "/rot90", "/rot180", "/rot270")


def rotations(dataset: Dataset) -> Dataset:
    """Every class also turned counter-clockwise, as new classes `NAME/rot90`, `NAME/rot180`, `NAME/rot270`.

    The published Omniglot protocol: four times the classes in every split, a turned class in the split of its
    origin.

    Raises:
        DataError: when images are not square, or were turned already.

    Reference: Santoro et al. 2016, arXiv 1605.06065, section 4.1; Vinyals et al. 2016, arXiv 1606.04080,
    section 4.1.1.
    """
    bank = dataset.bank
    _, height, width = bank.image
    if height != width:
        raise DataError(
            f"{dataset.name}: only square images can be turned by 90 degrees, got {height} x {width}; "
            "choose a square image size or no rotations"
        )
    turned = [name for name in bank.classes if name.endswith(_TURNS[1:])]
    if turned:
        raise DataError(f"{dataset.name}: classes are turned already, got {turned[0]!r}; apply rotations once")
    pixels = tabled([torch.rot90(bank.pixels, k, dims=(2, 3)) for k in range(4)])
    starts, counts = torch.cat([bank.starts + k * len(bank.pixels) for k in range(4)]), bank.counts.repeat(4)
    name = f"{dataset.name}-rotations"
    split = dataset.split
    return Dataset(
        name,
        replace(bank, name=name, classes=_turned(bank.classes), pixels=pixels, starts=starts, counts=counts),
        ClassSplit(_turned(split.train), _turned(split.validation), _turned(split.test)),
    )


def _turned(classes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{name}{turn}" for turn in _TURNS for name in classes)
