"""Decoding: image files to tensors of the wanted size."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from tasks.errors import DataError
from tasks.picture import require_channels, to_pixels

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm"})
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
            f"{path}: expected an image, got a file that cannot be read ({error}); "
            "replace or remove it, or leave such files out with data.skip_corrupt=true"
        ) from error


class Decoder:
    """Image files to tensors of one shape, with an account of what could not be read.

    Args:
        image: channels, height and width of every tensor.
        skip_corrupt: leave files out that cannot be read, and remember them in `skipped`; otherwise they are an error.
    """

    def __init__(self, image: tuple[int, int, int], *, skip_corrupt: bool = False) -> None:
        self.image = image
        self.skip_corrupt = skip_corrupt
        self.skipped: list[str] = []

    def readable(self, files: Sequence[Path]) -> list[tuple[Path, Tensor]]:
        """Those of `files` that can be read, each with its uint8 tensor; raises `DataError` for a corrupt one."""
        return [(file, pixels) for file in files if (pixels := self._decode(file)) is not None]

    def stacked(self, files: Sequence[Path], where: str) -> Tensor:
        """The images of one class, uint8 `[n, c, h, w]`; raises `DataError`, naming `where`, when none is left."""
        decoded = self.readable(files)
        if not decoded:
            raise DataError(f"{where}: expected images that can be read, got none of {len(files)}; replace them")
        return torch.stack([pixels for _, pixels in decoded])

    def class_folder(self, path: Path, count: int | None, remedy: str) -> Tensor:
        """The images of a published class, those in the directory `path`, as uint8 `[n, c, h, w]`.

        Raises:
            DataError: when there is none, or not `count` where it is given, which `remedy` would mend.
        """
        files = image_files(path) if path.is_dir() else []
        if len(files) != count if count is not None else not files:
            wanted = "images" if count is None else f"{count} images"
            raise DataError(f"expected {wanted} of a class in {path}, got {len(files)}; {remedy}")
        return self.stacked(files, str(path))

    def _decode(self, file: Path) -> Tensor | None:
        if not self.skip_corrupt:
            return decode(file, self.image)
        try:
            return decode(file, self.image)
        except DataError:
            self.skipped.append(str(file))
            return None
