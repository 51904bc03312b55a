"""Contact sheets: a look at the data, or at an episode, before trusting a number computed from it."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from tasks.bank import ImageBank
from tasks.episode import Episode, n_way_of
from tasks.errors import DataError
from tasks.picture import to_picture

_GAP = 2  # pixels between images
_PAPER = 96  # told from black and from white paper


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
    to_picture(enlarged(sheet_of(bank, _chosen(bank, classes), per_class), zoom)).save(path, optimize=True)


def sheet_of(bank: ImageBank, classes: Sequence[str], per_class: int) -> Tensor:
    """The sheet as uint8 `[c, height, width]`, a row of images for each class."""
    images = torch.zeros(len(classes), per_class, *bank.image, dtype=torch.uint8)
    for row, name in enumerate(classes):
        found = bank.images_of(name)[:per_class].cpu()
        images[row, : len(found)] = found
    return grid(images)


def grid(images: Tensor) -> Tensor:
    """uint8 `[rows, columns, c, h, w]` as one picture `[c, height, width]`, with gaps."""
    h, w = images.shape[-2:]
    cells = images.new_full((*images.shape[:3], h + _GAP, w + _GAP), _PAPER)
    cells[..., :h, :w] = images
    return cells.permute(2, 0, 3, 1, 4).flatten(3, 4).flatten(1, 2)


def enlarged(sheet: Tensor, zoom: int) -> Tensor:
    """`sheet` `[c, height, width]` with squares of `zoom` pixels for each of its own."""
    return sheet.repeat_interleave(zoom, 1).repeat_interleave(zoom, 2)


def sheet_of_episode(episode: Episode) -> Tensor:
    """The sheet of an episode of one shape as uint8 `[c, height, width]`: a class a row, its support images first."""
    n_way = n_way_of(episode)
    support, query = (
        grid((batch.x.cpu() * 255).round().byte().reshape(n_way, -1, *batch.x.shape[1:]))  # class after class
        for batch in episode
    )
    gap = support.new_full((*support.shape[:2], 4 * _GAP), _PAPER)
    return torch.cat([support, gap, query], dim=2)


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
