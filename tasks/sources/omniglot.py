"""Omniglot: 1,623 handwritten characters of 50 alphabets, 20 images each (Lake et al. 2015, Science 350).

Divided as in Vinyals et al. 2016 (arXiv 1606.04080): 1028 characters for training, 172 for validation and 423
for test, before rotations (`tasks.augment`). One alphabet, Gurmukhi, is in two splits.
"""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

from tasks.bank import ImageBank
from tasks.cache import cached
from tasks.dataset import Dataset
from tasks.decode import decode
from tasks.errors import DataError
from tasks.split import SPLITS, ClassSplit

LIST = Path(__file__).with_name("omniglot_vinyals.json")
"""The division: split -> part and alphabet -> character numbers, and where it comes from."""
PER_CLASS = 20
"""Images of a character, one by each of 20 people."""

_VERSION = 1  # of the decoding below: a change makes old caches strangers


def omniglot(root: Path, resolution: int = 28, cache: Path | None = None) -> Dataset:
    """Omniglot, ink bright, `[1, resolution, resolution]`, with classes `images_PART/ALPHABET/characterNN`.

    Args:
        root: holds `omniglot-py/images_background` and `images_evaluation`, as torchvision unpacks them.
        resolution: height and width in pixels; the originals of 105 x 105 are averaged down.
        cache: directory where the decoded images are kept; None decodes 32,460 files anew.

    Raises:
        DataError: when images are missing or damaged, or `cache` cannot be written.
    """
    if resolution < 1:
        raise DataError(f"Omniglot needs a resolution of at least 1 pixel, got {resolution}; try 28")
    split = vinyals_split()
    classes = [name for part in SPLITS for name in split[part]]
    images = root / "omniglot-py"
    key: dict[str, str | int] = {
        "version": _VERSION,
        "list": hashlib.sha256(LIST.read_bytes()).hexdigest(),
        "resolution": resolution,
        "root": str(root.resolve()),
        "pillow": version("pillow"),
    }
    bank = cached(cache, f"omniglot-{resolution}", key, lambda: _read(images, classes, resolution))
    return Dataset("omniglot", bank, split)


def vinyals_split() -> ClassSplit:
    """The division of Vinyals et al. 2016: 1028, 172 and 423 class names."""
    lists = json.loads(LIST.read_text(encoding="utf-8"))
    train, validation, test = (
        tuple(f"images_{group}/character{i:02d}" for group, numbers in lists[split].items() for i in numbers)
        for split in SPLITS
    )
    return ClassSplit(train, validation, test)


def _read(images: Path, classes: list[str], resolution: int) -> ImageBank:
    for part in ("images_background", "images_evaluation"):
        if not (images / part).is_dir():
            raise DataError(
                f"expected Omniglot in {images / part}, got nothing there; unpack {part}.zip of "
                "brendenlake/omniglot into it, or run torchvision.datasets.Omniglot(root, download=True) "
                "with background=True and with background=False"
            )
    decoded = {name: _read_class(images / name, resolution) for name in classes}
    return ImageBank.from_classes("omniglot", decoded)


def _read_class(path: Path, resolution: int) -> Tensor:
    files = sorted(path.glob("*.png"))
    if len(files) != PER_CLASS:
        raise DataError(
            f"expected {PER_CLASS} images of a character in {path}, got {len(files)}; unpack Omniglot again "
            "(brendenlake/omniglot, or torchvision.datasets.Omniglot(root, download=True))"
        )
    paper_white = torch.stack([decode(file, (1, resolution, resolution)) for file in files])
    return 255 - paper_white
