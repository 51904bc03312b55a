"""Decoding: image files to tensors of the wanted size."""

from pathlib import Path

import torch
from torch import Tensor

from tasks.errors import DataError
from tasks.picture import require_channels, to_pixels

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"})
"""What counts as an image file, in lower case."""


def is_image(path: Path) -> bool:
    """Whether `path` is a visible file that claims to be an image."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def image_files(path: Path) -> list[Path]:
    """The image files of the directory `path`, in the order of their names."""
    return sorted(entry for entry in path.iterdir() if is_image(entry))


def decode(path: Path, image: tuple[int, int, int]) -> Tensor:
    """The picture in `path` as uint8 of shape `image` `[c, h, w]`, converted as `tasks.picture.to_pixels` says.

    Of an animation the first frame counts, and a camera's orientation mark is obeyed.

    Raises:
        DataError: when `image` has neither 1 nor 3 channels, or the file cannot be read as an image.
    """
    from PIL import Image, ImageOps

    require_channels(str(path), image[0])
    try:
        with Image.open(path) as file:
            return to_pixels(ImageOps.exif_transpose(file), image)
    except Exception as error:  # damaged files make Pillow's readers raise nearly anything
        raise DataError(
            f"{path}: expected an image, got a file that cannot be read ({error}); replace or remove it"
        ) from error


def decode_class(path: Path, image: tuple[int, int, int], count: int, remedy: str) -> Tensor:
    """The images of a published class, those in the directory `path`, as uint8 `[count, c, h, w]`.

    Raises:
        DataError: when there are not `count` images, which `remedy` would mend, or one of them is damaged.
    """
    files = image_files(path) if path.is_dir() else []
    if len(files) != count:
        raise DataError(f"expected {count} images of a class in {path}, got {len(files)}; {remedy}")
    return torch.stack([decode(file, image) for file in files])
