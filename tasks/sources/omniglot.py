"""Omniglot: 1,623 handwritten characters of 50 alphabets, 20 images each (Lake et al. 2015, Science 350).

Divided as in Vinyals et al. 2016 (arXiv 1606.04080): 1028 characters for training, 172 for validation and 423
for test, before rotations (`tasks.augment`). One alphabet, Gurmukhi, is in two splits.
"""

import json
from pathlib import Path

from torch import Tensor

from tasks.archive import Archive
from tasks.card import Card
from tasks.dataset import Dataset
from tasks.decode import Decoder
from tasks.published import published
from tasks.split import SPLITS, ClassSplit

LIST = Path(__file__).with_name("omniglot_vinyals.json")
"""The division: split -> part and alphabet -> character numbers, and where it comes from."""
PER_CLASS = 20
"""Images of a character, one by each of 20 people."""

_VERSION = 1  # of the decoding below: a change makes old caches strangers


def omniglot(root: Path, resolution: int = 28, cache: Path | None = None, *, skip_corrupt: bool = False) -> Dataset:
    """Omniglot, ink bright, `[1, resolution, resolution]`, with classes `images_PART/ALPHABET/characterNN`.

    Args:
        root: holds `omniglot-py/images_background` and `images_evaluation`, as torchvision unpacks them.
        resolution: height and width in pixels; the originals of 105 x 105 are averaged down.
        cache: see `tasks.published.published`, as for `skip_corrupt` and the errors.
        skip_corrupt: leave out files that cannot be read.
    """
    bank = published(
        "omniglot", CARD, _read, root, resolution, cache, version=_VERSION, lists=(LIST,), skip_corrupt=skip_corrupt
    )
    return Dataset("omniglot", bank, vinyals_split())


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


def _read(root: Path, decoder: Decoder) -> dict[str, Tensor]:
    CARD.require(root)
    split = vinyals_split()
    remedy = f"move {root / 'omniglot-py'} away and {CARD.origin}"
    # Paper is white in the originals.
    return {
        name: 255 - decoder.class_folder(root / "omniglot-py" / name, PER_CLASS, remedy)
        for part in SPLITS
        for name in split[part]
    }
