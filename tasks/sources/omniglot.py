"""Omniglot: 1,623 handwritten characters of 50 alphabets, 20 images each (Lake et al. 2015, Science 350).

Divided as in Vinyals et al. 2016 (arXiv 1606.04080): 1028 characters for training, 172 for validation and 423
for test, before rotations (`tasks.augment`). One alphabet, Gurmukhi, is in two splits.
"""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path

from tasks.archive import Archive
from tasks.bank import ImageBank
from tasks.cache import cached
from tasks.card import Card
from tasks.dataset import Dataset
from tasks.decode import decode_class
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
    key: dict[str, str | int] = {
        "version": _VERSION,
        "list": hashlib.sha256(LIST.read_bytes()).hexdigest(),
        "resolution": resolution,
        "root": str(root.resolve()),
        "pillow": version("pillow"),
    }
    bank = cached(cache, f"omniglot-{resolution}", key, lambda: _read(root, classes, resolution))
    return Dataset("omniglot", bank, split)


def vinyals_split() -> ClassSplit:
    """The division of Vinyals et al. 2016: 1028, 172 and 423 class names."""
    lists = json.loads(LIST.read_text(encoding="utf-8"))
    train, validation, test = (
        tuple(f"images_{group}/character{i:02d}" for group, numbers in lists[split].items() for i in numbers)
        for split in SPLITS
    )
    return ClassSplit(train, validation, test)


_PUBLISHED = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python"
CARD = Card(
    title="Omniglot",
    channels=(1,),
    side=105,
    per_class=PER_CLASS,
    split=vinyals_split,
    archives=(
        Archive(
            url=f"{_PUBLISHED}/images_background.zip",
            md5="68d2efa1b9178cc56df9314c21c6e718",
            size=9_464_212,
            folder="omniglot-py/images_background",
        ),
        Archive(
            url=f"{_PUBLISHED}/images_evaluation.zip",
            md5="6b91aef0f799c5bb55b94e3f2daec811",
            size=6_462_886,
            folder="omniglot-py/images_evaluation",
        ),
    ),
    licence="MIT",
    layouts=(("omniglot-py/images_background", "omniglot-py/images_evaluation"),),
    origin="run metanas data fetch omniglot, or unpack images_background.zip and images_evaluation.zip of "
    "brendenlake/omniglot in omniglot-py",
)


def _read(root: Path, classes: list[str], resolution: int) -> ImageBank:
    CARD.require(root)
    image = (1, resolution, resolution)
    folders = {name: root / "omniglot-py" / name for name in classes}
    # Paper is white in the originals.
    remedy = f"move {root / 'omniglot-py'} away and {CARD.origin}"
    decoded = {name: 255 - decode_class(path, image, PER_CLASS, remedy) for name, path in folders.items()}
    return ImageBank.from_classes("omniglot", decoded)
