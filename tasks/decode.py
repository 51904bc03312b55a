"""Decoding: one image file to one tensor of the wanted size."""

from pathlib import Path

import torch
from torch import Tensor

from tasks.errors import DataError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"})
"""What counts as an image file, in lower case."""


def is_image(path: Path) -> bool:
    """Whether `path` is a visible file that claims to be an image."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def decode(path: Path, image: tuple[int, int, int]) -> Tensor:
    """The picture in `path` as uint8 of shape `image` `[c, h, w]`, resized without regard to its aspect.

    Colours become grey, or grey becomes three equal channels, as `image` asks; transparency shows white
    paper. Of an animation the first frame counts, and a camera's orientation mark is obeyed.

    Raises:
        DataError: when `image` has neither 1 nor 3 channels, or the file cannot be read as an image.
    """
    from PIL import Image, ImageOps

    channels, height, width = image
    if channels not in (1, 3):
        raise DataError(f"{path}: expected to give 1 or 3 channels, asked for {channels}; set image to either")
    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file)
            if picture.mode.startswith("I"):  # 16 bits; a plain conversion would clip them
                picture = picture.convert("I").point(lambda value: value * (1 / 257)).convert("L")
            if picture.has_transparency_data:
                picture = picture.convert("RGBA")
                picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
            picture = picture.convert("L" if channels == 1 else "RGB")
    except Exception as error:  # damaged files make Pillow's readers raise nearly anything
        raise DataError(
            f"{path}: expected an image, got a file that cannot be read ({error}); replace or remove it"
        ) from error
    if picture.size != (width, height):
        smaller = picture.width >= width and picture.height >= height
        # Area averaging keeps thin strokes when shrinking; enlarging with it would make blocks.
        method = Image.Resampling.BOX if smaller else Image.Resampling.BILINEAR
        picture = picture.resize((width, height), method)
    flat = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return flat.view(height, width, channels).permute(2, 0, 1).contiguous()
