"""Decoding: image files to tensors of the wanted size."""

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tasks.errors import DataError
from tasks.picture import require_channels, to_pixels

if TYPE_CHECKING:
    from PIL.Image import Image

Crop = Callable[["Image"], "Image"]
"""Takes the wanted part out of a picture."""
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
    return _decode(str(path), path, image, None)


def _decode(name: str, source: Path | BytesIO, image: tuple[int, int, int], crop: Crop | None) -> Tensor:
    from PIL import Image, ImageOps

    require_channels(name, image[0])
    try:
        with Image.open(source) as file:
            picture = ImageOps.exif_transpose(file)
            return to_pixels(crop(picture) if crop else picture, image)
    except Exception as error:  # damaged files make Pillow's readers raise nearly anything
        raise DataError(
            f"{name}: expected an image, got a file that cannot be read ({error}); "
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
        return [(file, pixels) for file in files if (pixels := self._decode(str(file), file)) is not None]

    def class_folder(self, path: Path, count: int | None, remedy: str) -> Tensor:
        """The images of a published class, those in the directory `path`; otherwise as `class_files`."""
        return self.class_files(image_files(path) if path.is_dir() else [], str(path), count, remedy)

    def class_files(
        self, files: Sequence[Path], where: str, count: int | None, remedy: str, *, crop: Crop | None = None
    ) -> Tensor:
        """The images of a published class, `files`, as uint8 `[n, c, h, w]`.

        Args:
            files: its images.
            where: names the class in messages.
            count: how many there must be; None takes any number above 0.
            remedy: what mends another number.
            crop: the part of each image that counts.

        Raises:
            DataError: when there are too few or too many, or one cannot be read.
        """
        if len(files) != count if count is not None else not files:
            wanted = "images" if count is None else f"{count} images"
            raise DataError(f"expected {wanted} of a class in {where}, got {len(files)}; {remedy}")
        return self.stacked(files, where, crop)

    def stacked(self, files: Sequence[Path], where: str, crop: Crop | None = None) -> Tensor:
        """The images of one class, uint8 `[n, c, h, w]`; raises `DataError`, naming `where`, when none is left."""
        return _stacked([self._decode(str(file), file, crop) for file in files], where)

    def encoded(self, contents: Sequence[bytes], where: str) -> Tensor:
        """The images of one class from the `contents` of files that lie in another one, as uint8 `[n, c, h, w]`."""
        return _stacked([self._decode(f"{where}, image {i}", BytesIO(x)) for i, x in enumerate(contents)], where)

    def _decode(self, name: str, source: Path | BytesIO, crop: Crop | None = None) -> Tensor | None:
        try:
            return _decode(name, source, self.image, crop)
        except DataError:
            if not self.skip_corrupt:
                raise
            self.skipped.append(name)
            return None


def _stacked(decoded: Sequence[Tensor | None], where: str) -> Tensor:
    images = [pixels for pixels in decoded if pixels is not None]
    if not images:
        raise DataError(f"{where}: expected images that can be read, got none of {len(decoded)}; replace them")
    return torch.stack(images)
