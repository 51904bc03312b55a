"""Pictures: from Pillow's images to uint8 tensors and back."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tasks.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image


def to_pixels(picture: "Image", image: tuple[int, int, int]) -> Tensor:
    """`picture` as uint8 `image` `[c, h, w]`, whatever its aspect was.

    Colours become grey, or grey becomes three equal channels, as `image` asks; transparency shows white paper.

    Raises:
        DataError: when `image` has neither 1 nor 3 channels.
    """
    from PIL.Image import Resampling

    channels, height, width = image
    require_channels("a picture", channels)
    picture = _converted(picture, channels)
    if picture.size != (width, height):
        smaller = picture.width >= width and picture.height >= height
        # Area averaging keeps thin strokes when shrinking; enlarging with it would make blocks.
        picture = picture.resize((width, height), Resampling.BOX if smaller else Resampling.BILINEAR)
    flat = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return flat.view(height, width, channels).permute(2, 0, 1).contiguous()


def resized(pixels: Tensor, image: tuple[int, int, int]) -> Tensor:
    """uint8 `pixels` `[n, c, h, w]`, each as `to_pixels` would make it of the picture that it is."""
    if tuple(pixels.shape[1:]) == image:
        return pixels
    return torch.stack([to_pixels(to_picture(x), image) for x in pixels])


def to_picture(pixels: Tensor) -> "Image":
    """The picture of uint8 `pixels` `[c, h, w]`, grey for 1 channel and RGB for 3."""
    from PIL.Image import fromarray

    shown = pixels[0] if len(pixels) == 1 else pixels.permute(1, 2, 0)
    return fromarray(shown.contiguous().numpy())


def require_channels(where: str, channels: int) -> None:
    """Raises `DataError`, naming `where`, for what is neither grey nor RGB."""
    if channels not in (1, 3):
        raise DataError(f"{where}: expected to give 1 or 3 channels, asked for {channels}; set image to either")


def _converted(picture: "Image", channels: int) -> "Image":
    """Grey or in colours, 8 bits a channel."""
    from PIL import Image

    if picture.mode.startswith("I"):  # 16 bits; a plain conversion would clip them
        picture = picture.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("L" if channels == 1 else "RGB")
