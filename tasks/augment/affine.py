"""Small affine maps: the same thing drawn a little turned, stretched and slanted."""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from tasks.errors import DataError


def random_affine(
    images: Tensor, rng: torch.Generator, *, degrees: float = 12.0, stretch: float = 0.1, slant: float = 0.1
) -> Tensor:
    """Each image turned, stretched and slanted about its middle; black comes in from outside, pixels between are mixed.

    All three are drawn uniformly, from minus to plus their option: the angle; the logarithms of the factors of width
    and of height, each on its own; and by how much of its distance from the middle row a row is moved sideways.

    Args:
        images: float images in [0, 1], `[n, c, h, w]`.
        rng: its draws are the same whatever the device of the images.
        degrees: the largest angle, 0 to 180.
        stretch: the largest logarithm of a factor, 0 to 1; 0.1 are 11 %.
        slant: the largest slant, 0 to 1.

    Returns:
        New images `[n, c, h, w]`.

    Raises:
        DataError: when an option is out of its range.
    """
    for name, value, end in (("degrees", degrees, 180), ("stretch", stretch, 1), ("slant", slant, 1)):
        if not 0 <= value <= end:
            raise DataError(f"random_affine: expected {name} from 0 to {end}, got {value}; 0 changes nothing")
    most = torch.tensor([math.radians(degrees), stretch, stretch, slant], device=rng.device)[:, None]
    drawn = (2 * torch.rand(4, len(images), generator=rng, device=rng.device, dtype=torch.float32) - 1) * most
    angle, width, height, lean = drawn.to(images.device)
    change = torch.stack([width.exp(), lean, torch.zeros_like(lean), height.exp()], -1).view(-1, 2, 2)
    return _mapped(images, _turn(angle) @ change)


def turned(images: Tensor, *, degrees: float) -> Tensor:
    """Images `[..., h, w]` turned by so many degrees about their middle; black comes in from outside."""
    flat = images.reshape(-1, 1, *images.shape[-2:])
    angle = torch.full((1,), math.radians(degrees), device=images.device)
    return _mapped(flat, _turn(angle).expand(len(flat), 2, 2)).view(images.shape)


def _turn(angle: Tensor) -> Tensor:
    """The maps `[n, 2, 2]` that turn by `[n]` radians."""
    return torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1).view(-1, 2, 2)


def _mapped(images: Tensor, maps: Tensor) -> Tensor:
    """Images `[n, c, h, w]` about their middle: `maps`, `[n, 2, 2]`, say where the pixel of a place comes from."""
    aspect = images.shape[-1] / images.shape[-2]  # both axes go from -1 to 1, whatever their length
    a, b, c, d = maps.flatten(1).unbind(1)
    rest = torch.zeros_like(a)
    precise = images.to(torch.promote_types(images.dtype, torch.float32))  # bfloat16 would miss places
    theta = torch.stack([a, b / aspect, rest, c * aspect, d, rest], -1).view(-1, 2, 3).to(precise)
    grid = affine_grid(theta, list(images.shape), align_corners=False)
    return grid_sample(precise, grid, align_corners=False).clamp(0, 1).to(images.dtype)
