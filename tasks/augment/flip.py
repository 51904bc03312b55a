"""Mirror images."""

import torch
from torch import Tensor

from tasks.errors import DataError


def horizontal_flip(images: Tensor, rng: torch.Generator, *, probability: float = 0.5) -> Tensor:
    """Each image mirrored left to right with the given probability; not for letters, whose mirror image is another.

    Args:
        images: float images in [0, 1], `[n, c, h, w]`.
        rng: its draws are the same whatever the device of the images.
        probability: of each image, in [0, 1].

    Returns:
        New images `[n, c, h, w]`.

    Raises:
        DataError: when `probability` is not in [0, 1].
    """
    if not 0 <= probability <= 1:
        raise DataError(f"horizontal_flip: expected a probability in [0, 1], got {probability}; set it to 0.5, say")
    drawn = torch.rand(len(images), generator=rng, device=rng.device, dtype=torch.float32)
    mirrored = (drawn < probability).to(images.device)
    return torch.where(mirrored[:, None, None, None], images.flip(-1), images)
