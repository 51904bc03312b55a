"""Other views of the same images, the same at every call: what may be looked at beside an image when it is judged."""

from collections.abc import Callable
from functools import partial

from torch import Tensor
from torch.nn.functional import pad

from tasks.augment.affine import turned

View = Callable[[Tensor], Tensor]
"""Float images `[..., h, w]` -> images of the same shape."""


def mirrored(images: Tensor) -> Tensor:
    """Left is right; not for letters, whose mirror image is another."""
    return images.flip(-1)


def shifted(images: Tensor, *, right: int = 0, down: int = 0) -> Tensor:
    """Images moved by whole pixels, negative ones to the left and up; black comes in from outside."""
    return pad(images, (right, -right, down, -down))  # what is padded by less than nothing is cut


def _sides(pixels: int) -> tuple[View, ...]:
    """Shifts to the right, the left, down and up."""
    return (
        partial(shifted, right=pixels),
        partial(shifted, right=-pixels),
        partial(shifted, down=pixels),
        partial(shifted, down=-pixels),
    )


VIEWS: dict[str, Callable[[int], tuple[View, ...]]] = {
    "flip": lambda resolution: (mirrored,),
    "affine": lambda resolution: (partial(turned, degrees=6), partial(turned, degrees=-6)),
    "crop": lambda resolution: _sides(max(1, resolution // 10)),  # 3 pixels of 32
}
"""By the name of the augmentation that trains for them: from the height and width of images to their views."""
