"""Cutout: a black square in each image, so that no single part of it is relied upon."""

import torch
from torch import Tensor

from tasks.errors import DataError


def cutout(images: Tensor, rng: torch.Generator, *, size: int) -> Tensor:
    """Each image with one black square, centred on any of its pixels and cut off at its border.

    Args:
        images: float images in [0, 1], `[n, c, h, w]`.
        rng: its draws are the same whatever the device of the images.
        size: height and width of the square in pixels, at least 1.

    Returns:
        New images `[n, c, h, w]`.

    Raises:
        DataError: when `size` is less than 1.

    Reference: DeVries & Taylor 2017, arXiv 1708.04552, section 3.2. There the images are normalised before, so that
    the square has the mean colour of the data set; here it is black.
    """
    if size < 1:
        raise DataError(f"cutout: expected a square of 1 pixel or more, got {size}; leave cutout out for no square")
    n, _, h, w = images.shape
    rows, columns = (_within(length, n, size, rng).to(images.device) for length in (h, w))
    return images.masked_fill(rows[:, None, :, None] & columns[:, None, None, :], 0)


def _within(length: int, n: int, size: int, rng: torch.Generator) -> Tensor:
    """Which places of an axis lie in the square of each image, `[n, length]`."""
    first = torch.randint(length, (n, 1), generator=rng, device=rng.device) - size // 2
    places = torch.arange(length, device=rng.device)
    return (first <= places) & (places < first + size)
