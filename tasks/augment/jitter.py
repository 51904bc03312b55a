"""Colour jitter: other light on the same thing."""

import torch
from torch import Tensor

from tasks.errors import DataError

_LUMA = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow makes grey


def colour_jitter(
    images: Tensor, rng: torch.Generator, *, brightness: float = 0.4, contrast: float = 0.4, saturation: float = 0.4
) -> Tensor:
    """Each image with another brightness, then contrast, then saturation, cut to [0, 1] after each.

    A factor is drawn uniformly from 1 minus to 1 plus its option and never negative; an option of 0 changes nothing.
    Brightness multiplies the image, contrast its distance to its mean grey, saturation its distance to its own grey
    version, so that images of one channel have none. Torchvision's transform of that name draws the order of the three
    as well, which here is fixed.

    Args:
        images: float images in [0, 1], `[n, c, h, w]`, of 1 or 3 channels.
        rng: its draws are the same whatever the device of the images.
        brightness: the largest change of the factor, 0 or more.
        contrast: likewise.
        saturation: likewise.

    Returns:
        New images `[n, c, h, w]`.

    Raises:
        DataError: when an option is negative, or images have neither 1 nor 3 channels.
    """
    options = {"brightness": brightness, "contrast": contrast, "saturation": saturation}
    for name, value in options.items():
        if not value >= 0:
            raise DataError(f"colour_jitter: expected {name} to be 0 or more, got {value}; 0 changes nothing")
    if images.shape[1] not in (1, 3):
        raise DataError(f"colour_jitter: expected images of 1 or 3 channels, got {images.shape[1]}; leave it out")
    amounts = torch.tensor(list(options.values()), device=rng.device, dtype=torch.float32)[:, None]
    drawn = torch.rand(3, len(images), generator=rng, device=rng.device, dtype=torch.float32)
    least = (1 - amounts).clamp(min=0)
    factors = torch.lerp(least, 1 + amounts, drawn).to(images)[..., None, None, None]
    images = (images * factors[0]).clamp(0, 1)
    images = _away_from(_grey(images).mean((1, 2, 3), keepdim=True), images, factors[1])
    return _away_from(_grey(images), images, factors[2])


def _grey(images: Tensor) -> Tensor:
    """`[n, 1, h, w]`."""
    if images.shape[1] == 1:
        return images
    return (images * images.new_tensor(_LUMA)[:, None, None]).sum(1, keepdim=True)


def _away_from(middle: Tensor, images: Tensor, factor: Tensor) -> Tensor:
    return (middle + factor * (images - middle)).clamp(0, 1)
