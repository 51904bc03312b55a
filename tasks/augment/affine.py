"""Small affine maps: the same thing drawn a little turned, stretched and slanted."""

import math

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from tasks.errors import DataError


def random_affine(
    images: Tensor, rng: torch.Generator, *, degrees: float = 15.0, stretch: float = 0.15, slant: float = 0.15
) -> Tensor:
    """Each image turned, stretched and slanted about its middle; black comes in from outside, pixels between are mixed.

    All three are drawn uniformly, from minus to plus their option: the angle; the logarithms of the factors of width
    and of height, each on its own; and by how much of its distance from the middle row a row is moved sideways.

    Args:
        images: float images in [0, 1], `[n, c, h, w]`.
        rng: its draws are the same whatever the device of the images.
        degrees: the largest angle, 0 to 180.
        stretch: the largest logarithm of a factor, 0 to 1; 0.15 are 16 %.
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
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1).view(-1, 2, 2)
    change = torch.stack([width.exp(), lean, torch.zeros_like(lean), height.exp()], -1).view(-1, 2, 2)
    sides = torch.tensor([images.shape[-1], images.shape[-2]]).to(turn)
    maps = turn @ change * (sides / sides[:, None])  # both axes go from -1 to 1, whatever their length
    maps = torch.cat([maps, torch.zeros_like(maps[..., :1])], -1).to(images)
    grid = affine_grid(maps, list(images.shape), align_corners=False)
    return grid_sample(images, grid, align_corners=False).clamp(0, 1)
