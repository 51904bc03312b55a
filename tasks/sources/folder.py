"""Folders: the user's own images, one folder a class.

    ROOT/CLASS/IMAGE.png                      classes are divided 64 / 16 / 20 % by `seed`, 0 in a run
    ROOT/{train,validation,test}/CLASS/...    the division is yours

Pixels stay as they are: whoever wants bright ink on black, as in the glyphs, inverts the files.
"""

from pathlib import Path

import torch
from torch import Tensor

from tasks.bank import ImageBank
from tasks.card import Card
from tasks.dataset import Dataset
from tasks.decode import Decoder, image_files
from tasks.duplicates import refuse_duplicates
from tasks.errors import DataError
from tasks.split import SPLITS, ClassSplit, SplitName
from tasks.stream import stream

CARD = Card(title="folder", channels=(1, 3), licence="yours", origin="class folders in data.root=DIR")

Decoded = list[tuple[Path, Tensor]]
"""Image files in the order of their names, each with its uint8 tensor `[c, h, w]`."""


def folder(
    root: Path,
    image: tuple[int, int, int],
    seed: int = 0,
    *,
    skip_corrupt: bool = False,
    allow_duplicates: bool = False,
) -> Dataset:
    """The data set of a directory, named after it.

    Args:
        root: holds `train`, `validation` and `test`, each with class folders, or class folders directly.
        image: channels (1 or 3), height and width that every file is converted to.
        seed: of the division, where the directory does not divide its classes.
        skip_corrupt: leave out files that cannot be read; `ImageBank.skipped` then says which.
        allow_duplicates: take files that show the same image, for `tasks.duplicates.without_duplicates`.

    Raises:
        DataError: when `root` or a class holds no images, a file is damaged, two files show the same image, or a class
            is in two splits.
    """
    _require_directory(root)
    decoder = Decoder(image, skip_corrupt=skip_corrupt)
    name = root.resolve().name
    train = root / "train"
    if train.is_dir() and _folders(train):
        missing = [split for split in SPLITS if not (root / split).is_dir()]
        if missing:
            raise DataError(f"{root}: expected folders train, validation and test, got no {missing[0]}; add it")
        decoded = {split: read_folder(root / split, decoder) for split in SPLITS}
        classes: dict[SplitName, tuple[str, ...]] = {split: tuple(decoded[split]) for split in SPLITS}
        # The split is checked before the classes are merged, which would hide a class that is there twice.
        split = ClassSplit(classes["train"], classes["validation"], classes["test"])
        images = {label: part for parts in decoded.values() for label, part in parts.items()}
    else:
        images = read_folder(root, decoder)
        split = divide(tuple(images), seed)
    if not allow_duplicates:
        refuse_duplicates(root, [file for part in images.values() for file in part])
    pixels = {label: torch.stack([x for _, x in part]) for label, part in images.items()}
    return Dataset(name, ImageBank.from_classes(name, pixels, tuple(decoder.skipped)), split)


def divide(classes: tuple[str, ...], seed: int) -> ClassSplit:
    """`classes` in random order, 64 % for training, 16 % for validation and the rest for test."""
    order = torch.randperm(len(classes), generator=stream(seed, "folder", "split")).tolist()
    first, second = round(0.64 * len(classes)), round(0.80 * len(classes))
    parts = (order[:first], order[first:second], order[second:])
    train, validation, test = (tuple(classes[i] for i in sorted(part)) for part in parts)
    return ClassSplit(train, validation, test)


def read_folder(path: Path, decoder: Decoder, *, least_classes: int = 2) -> dict[str, Decoded]:
    """Labelled images: the images of each class folder of `path`, by class name in alphabetical order.

    Hidden files and files that are no images by their suffix are passed over.

    Raises:
        DataError: when `path` is missing, has fewer than `least_classes` class folders, an empty one, images
            beside them, or a file with an image's suffix that cannot be read and that `decoder` does not leave out.
    """
    _require_directory(path)
    folders, loose = _folders(path), image_files(path)
    if not folders:
        raise DataError(f"{path}: expected one folder for each class, got none; make them")
    if loose:
        raise DataError(
            f"{path}: expected class folders alone, got {len(loose)} images beside them, "
            f"first {loose[0].name}; move them into a class folder"
        )
    if len(folders) < least_classes:
        raise DataError(
            f"{path}: expected at least {least_classes} class folders, got {len(folders)}, "
            f"first {folders[0].name!r}; add another class"
        )
    files = {entry.name: image_files(entry) for entry in folders}
    empty = [name for name, images in files.items() if not images]
    if empty:
        raise DataError(f"{path / empty[0]}: expected images of this class, got none; add some or remove it")
    decoded = {name: decoder.readable(images) for name, images in files.items()}
    corrupt = [name for name, images in decoded.items() if not images]
    if corrupt:
        raise DataError(f"{path / corrupt[0]}: expected images that can be read, got none; replace or remove the class")
    return decoded


def read_unlabelled(path: Path, decoder: Decoder) -> Decoded:
    """Images that lie in `path` itself, without labels; `DataError` when there is none, or none that can be read."""
    _require_directory(path)
    images = image_files(path)
    if not images:
        raise DataError(f"{path}: expected images (png, jpg, jpeg, bmp, gif, webp, ppm), got none; add some")
    found = decoder.readable(images)
    if not found:
        raise DataError(f"{path}: expected images that can be read, got none of {len(images)}; replace them")
    return found


def is_labelled(path: Path) -> bool:
    """Whether `path` holds class folders, for `read_folder`, rather than images, for `read_unlabelled`."""
    _require_directory(path)
    return bool(_folders(path))


def _require_directory(path: Path) -> None:
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing there"
        raise DataError(f"{path}: expected a directory of images, got {found}; check the path")


def _folders(path: Path) -> list[Path]:
    # __MACOSX: what archives from a Mac leave behind.
    entries = (entry for entry in path.iterdir() if entry.is_dir())
    return sorted(entry for entry in entries if not entry.name.startswith(".") and entry.name != "__MACOSX")
