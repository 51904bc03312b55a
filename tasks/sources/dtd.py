"""Describable Textures Dataset: 47 textures of 120 images (Cimpoi et al. 2014, arXiv 1311.3618).

Divided as in Meta-Dataset (Triantafillou et al. 2020, arXiv 1903.03096): 33 textures for training, 7 for validation
and 7 for test. The authors' own division, which is one of images, plays no part.
"""

from pathlib import Path

from torch import Tensor

from tasks.archive import Archive
from tasks.card import Card
from tasks.dataset import Dataset
from tasks.decode import Decoder
from tasks.published import published
from tasks.split import SPLITS, ClassSplit, read_split

LIST = Path(__file__).with_name("dtd.json")
"""The division: split -> textures, and where it comes from."""
PER_CLASS = 120
"""Images of a texture."""

_VERSION = 1  # of the decoding below: a change makes old caches strangers
_URL = "https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz"


def dtd(root: Path, resolution: int = 84, cache: Path | None = None, *, skip_corrupt: bool = False) -> Dataset:
    """DTD, `[3, resolution, resolution]` whatever the aspect was, with classes `dtd/TEXTURE`.

    Args:
        root: holds `dtd/dtd/images/TEXTURE/*.jpg`, as torchvision unpacks it.
        resolution: height and width in pixels; the originals have 300 to 640 a side.
        cache: see `tasks.published.published`, as for `skip_corrupt` and the errors.
        skip_corrupt: leave out files that cannot be read.
    """
    bank = published(
        "dtd", CARD, _read, root, resolution, cache, version=_VERSION, lists=(LIST,), skip_corrupt=skip_corrupt
    )
    return Dataset("dtd", bank, meta_dataset_split())


def meta_dataset_split() -> ClassSplit:
    """The division of Meta-Dataset: 33, 7 and 7 class names."""
    return read_split(LIST, "dtd")


CARD = Card(
    title="DTD",
    channels=(3,),
    per_class=PER_CLASS,
    split=meta_dataset_split,
    archives=(Archive(url=_URL, md5="fff73e5086ae6bdbea199a49dfb8a4c1", size=625_239_812, folder="dtd/dtd"),),
    licence="for research",
    layouts=(("dtd/dtd",),),
    origin=f"run metanas data fetch dtd, or unpack {_URL} in dtd",
)


def _read(root: Path, decoder: Decoder) -> dict[str, Tensor]:
    (layout,) = CARD.require(root)
    split = meta_dataset_split()
    remedy = f"move {root / layout} away and {CARD.origin}"
    return {
        name: decoder.class_folder(root / layout / "images" / name.removeprefix("dtd/"), PER_CLASS, remedy)
        for name in sorted(name for part in SPLITS for name in split[part])
    }
