"""Random crops of padded images."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from tasks.errors import DataError


def random_crop(images: Tensor, rng: torch.Generator, *, padding: int = 4) -> Tensor:
    """Each image shifted by up to `padding` pixels, each way on its own; black comes in from outside.

    Args:
        images: float images in [0, 1], `[n, c, h, w]`.
        rng: its draws are the same whatever the device of the images.
        padding: black pixels on each side before an image of the old size is cut out.

    Returns:
        New images `[n, c, h, w]`.

    Raises:
        DataError: when `padding` is negative.
    """
    if padding < 0:
        raise DataError(f"random_crop: expected a padding of 0 pixels or more, got {padding}; set it to 4, say")
    n, _, h, w = images.shape
    corners = torch.randint(2 * padding + 1, (2, n, 1), generator=rng, device=rng.device).to(images.device)
    rows = corners[0] + torch.arange(h, device=images.device)
    columns = corners[1] + torch.arange(w, device=images.device)
    each = torch.arange(n, device=images.device)[:, None, None]
    padded = pad(images, (padding, padding, padding, padding)).movedim(1, -1)
    return padded[each, rows[:, :, None], columns[:, None, :]].movedim(-1, 1).contiguous()
