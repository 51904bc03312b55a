"""Decoding: image files to tensors of the wanted size."""

from pathlib import Path

import torch
from torch import Tensor

from tasks.errors import DataError
from tasks.picture import to_pixels

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"})
"""What counts as an image file, in lower case."""


def is_image(path: Path) -> bool:
    """Whether `path` is a visible file that claims to be an image."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def image_files(path: Path) -> list[Path]:
    """The image files of the directory `path`, in the order of their names."""
    return sorted(entry for entry in path.iterdir() if is_image(entry))


def decode(path: Path, image: tuple[int, int, int]) -> Tensor:
    """The picture in `path` as uint8 of shape `image` `[c, h, w]`, resized without regard to its aspect.

    Colours become grey, or grey becomes three equal channels, as `image` asks; transparency shows white
    paper. Of an animation the first frame counts, and a camera's orientation mark is obeyed.

    Raises:
        DataError: when `image` has neither 1 nor 3 channels, or the file cannot be read as an image.
    """
    from PIL import Image, ImageOps

    channels = image[0]
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
    return to_pixels(picture, image)


def decode_class(path: Path, image: tuple[int, int, int], count: int, remedy: str) -> Tensor:
    """The images of a published class, those in the directory `path`, as uint8 `[count, c, h, w]`.

    Raises:
        DataError: when there are not `count` images, which `remedy` would mend, or one of them is damaged.
    """
    files = image_files(path) if path.is_dir() else []
    if len(files) != count:
        raise DataError(f"expected {count} images of a class in {path}, got {len(files)}; {remedy}")
    return torch.stack([decode(file, image) for file in files])
