"""Labelled images: what the readers of published files give, as classes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from tasks.archive import checksum
from tasks.errors import DataError
from tasks.picture import resized


def by_class(
    pixels: Tensor, labels: Tensor, names: Sequence[str], image: tuple[int, int, int], *, remedy: str
) -> dict[str, Tensor]:
    """The images of each class, uint8 `[n, *image]`, in the order in which they lie.

    Args:
        pixels: uint8 `[n, c, h, w]`.
        labels: integers `[n]`; label `i` is the class `names[i]`.
        names: of the classes, in the order of the result.
        image: channels, height and width of the result.
        remedy: ends a message.

    Raises:
        DataError: when labels and images differ in number, a label has no name, or a name no image.
    """
    if labels.shape != pixels.shape[:1]:
        raise DataError(f"expected a label for each of {len(pixels)} images, got {tuple(labels.shape)}; {remedy}")
    strange = labels[(labels < 0) | (labels >= len(names))]
    if len(strange):
        raise DataError(f"expected labels from 0 to {len(names) - 1}, got {int(strange[0])}; {remedy}")
    images = {name: pixels[labels == i] for i, name in enumerate(names)}
    empty = [name for name, part in images.items() if not len(part)]
    if empty:
        raise DataError(f"expected images of every class, got none of {empty[0]}; {remedy}")
    return {name: resized(part, image) for name, part in images.items()}


def require_files(folder: Path, checksums: Mapping[str, str], *, remedy: str) -> None:
    """Raises `DataError` for the first file of `folder` whose content is not the published one.

    A reader that trusts pickles, or files that tell of no damage, may open what has passed.

    Args:
        folder: holds the files.
        checksums: name of each file -> its published MD5.
        remedy: ends the message.
    """
    for name, md5 in checksums.items():
        file = folder / name
        found = checksum(file) if file.is_file() else "no file"
        if found != md5:
            raise DataError(f"expected {file} with md5 {md5}, got {found}; move {folder} away and {remedy}")
