"""Pictures: from Pillow's images to uint8 tensors and back."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from PIL.Image import Image


def to_pixels(picture: "Image", image: tuple[int, int, int]) -> Tensor:
    """`picture`, grey (mode L) for 1 channel or RGB for 3, as uint8 `image` `[c, h, w]`, whatever its aspect was."""
    from PIL.Image import Resampling

    channels, height, width = image
    if picture.size != (width, height):
        smaller = picture.width >= width and picture.height >= height
        # Area averaging keeps thin strokes when shrinking; enlarging with it would make blocks.
        picture = picture.resize((width, height), Resampling.BOX if smaller else Resampling.BILINEAR)
    flat = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return flat.view(height, width, channels).permute(2, 0, 1).contiguous()


def to_picture(pixels: Tensor) -> "Image":
    """The picture of uint8 `pixels` `[c, h, w]`, grey for 1 channel and RGB for 3."""
    from PIL.Image import fromarray

    shown = pixels[0] if len(pixels) == 1 else pixels.permute(1, 2, 0)
    return fromarray(shown.contiguous().numpy())
