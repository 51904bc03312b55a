"""Duplicates: images that are there more than once, pixel for pixel.

In one class they may be learned from and judged on in the same episode; in two classes at least one name is false; in
classes of two splits they leak. Published data sets hold some and are left as they are, so that their episodes and
numbers stay comparable; images of one's own are refused.
"""

import hashlib
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from tasks.dataset import Dataset
from tasks.errors import DataError

_LOG = logging.getLogger(__name__)


def equal_images(images: Iterable[Tensor]) -> list[list[int]]:
    """The places of equal images, in groups of two or more, each in ascending order.

    Args:
        images: uint8, all of one shape; compared by their SHA-256.
    """
    places: dict[bytes, list[int]] = {}
    for i, image in enumerate(images):
        digest = hashlib.sha256(image.cpu().contiguous().numpy().data).digest()
        places.setdefault(digest, []).append(i)
    return [group for group in places.values() if len(group) > 1]


def without_duplicates(dataset: Dataset) -> Dataset:
    """The same data set with every image at most once, and a line in the log that says how many were left out.

    Of equal images in one class the first is kept. Of equal images in several classes none is: which name is true is
    not to be seen. What is kept is copied where anything was left out.

    Raises:
        DataError: when nothing is left of a class.
    """
    bank = dataset.bank
    rows = bank.rows()
    numbers = torch.repeat_interleave(torch.arange(len(bank.classes)), bank.counts).tolist()
    surplus: list[int] = []
    for group in equal_images(bank.pixels[row] for row in rows.tolist()):
        in_one_class = len({numbers[i] for i in group}) == 1
        surplus += group[1:] if in_one_class else group
    if not surplus:
        return dataset
    keep = torch.ones(len(rows), dtype=torch.bool)
    keep[surplus] = False
    ends = bank.counts.cumsum(0)[:-1]
    kept = [part[chosen] for part, chosen in zip(rows.tensor_split(ends), keep.tensor_split(ends), strict=True)]
    empty = [name for name, part in zip(bank.classes, kept, strict=True) if not len(part)]
    if empty:
        raise DataError(
            f"{dataset.name}: expected images of {empty[0]!r} that no other class shows, got none; leave the class out"
        )
    _LOG.warning("%s: left out %d of %d images, copies of others", dataset.name, len(surplus), len(bank))
    return Dataset(dataset.name, bank.select(bank.name, kept), dataset.split)


def refuse_duplicates(root: Path, files: Sequence[tuple[Path, Tensor]]) -> None:
    """Raises `DataError`, naming two of `files` below `root`, when files show the same image."""
    groups = equal_images(pixels for _, pixels in files)
    if groups:
        first, second = (files[i][0].relative_to(root) for i in groups[0][:2])
        _, height, width = files[0][1].shape
        copies = sum(len(group) - 1 for group in groups)
        raise DataError(
            f"{root}: expected every image once, got {first} and {second} with the same pixels at {height} x {width} "
            f"(copies in all: {copies}); remove the copies, or leave them out with data.drop_duplicates=true"
        )
