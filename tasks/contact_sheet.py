"""Contact sheets: a look at the data before trusting a number computed from it."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from tasks.bank import ImageBank
from tasks.errors import DataError
from tasks.picture import to_picture

_GAP = 2  # pixels between images


def contact_sheet(
    bank: ImageBank, path: Path, *, classes: Sequence[str] | int = 24, per_class: int = 20, zoom: int = 1
) -> None:
    """Writes a PNG with one row of images for each class.

    Args:
        bank: what to look at; 1 or 3 channels.
        path: the PNG to write, in a directory that exists.
        classes: class names, or how many of them, taken evenly over the bank.
        per_class: images a row; a class with fewer leaves its places empty.
        zoom: pixels of the sheet for one pixel of an image, each way.

    Raises:
        DataError: when there is nothing to draw, a class is unknown, or images have neither 1 nor 3 channels.
    """
    if per_class < 1 or zoom < 1:
        raise DataError(f"a contact sheet needs per_class >= 1 and zoom >= 1, got {per_class} and {zoom}")
    if bank.image[0] not in (1, 3):
        raise DataError(f"{bank.name}: a picture has 1 or 3 channels, got {bank.image[0]}; select some")
    sheet = sheet_of(bank, _chosen(bank, classes), per_class)
    sheet = sheet.repeat_interleave(zoom, 1).repeat_interleave(zoom, 2)
    to_picture(sheet).save(path, optimize=True)


def sheet_of(bank: ImageBank, classes: Sequence[str], per_class: int) -> Tensor:
    """The sheet as uint8 `[c, height, width]`, a row of images for each class."""
    c, h, w = bank.image
    cells = torch.zeros(len(classes), per_class, c, h + _GAP, w + _GAP, dtype=torch.uint8)
    cells[..., h:, :] = cells[..., w:] = 96  # the gap, told from black and from white paper
    for row, name in enumerate(classes):
        images = bank.images_of(name)[:per_class].cpu()
        cells[row, : len(images), :, :h, :w] = images
    return cells.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)


def _chosen(bank: ImageBank, classes: Sequence[str] | int) -> Sequence[str]:
    if isinstance(classes, int):
        count = min(classes, len(bank.classes))
        chosen: Sequence[str] = [bank.classes[i * len(bank.classes) // count] for i in range(count)]
    else:
        chosen = classes
    unknown = sorted(set(chosen) - set(bank.classes))
    if unknown:
        raise DataError(f"{bank.name}: expected classes of this bank, got {unknown[0]!r}; name one of its own")
    if not chosen:
        raise DataError(f"{bank.name}: a contact sheet needs classes, got none; name at least one")
    return chosen
