"""CUB-200-2011: 200 species of birds, 41 to 60 photographs each, 11,788 in all (Wah et al. 2011, CNS-TR-2011-001).

Divided as in Chen et al. 2019 (arXiv 1904.04232): every second species for training (100), and of the others every
second for validation (50) and for test (50). `tasks.sources.cub_feat` is another division of the same images.

Photographs are shown whole. Deviation: some papers crop to the bounding boxes of the birds, which is easier.
"""

from pathlib import Path

from torch import Tensor

from tasks.archive import Archive
from tasks.bank import ImageBank
from tasks.card import Card
from tasks.dataset import Dataset
from tasks.decode import Decoder
from tasks.published import published
from tasks.split import SPLITS, ClassSplit, read_split

LIST = Path(__file__).with_name("cub.json")
"""The division: split -> species, and where it comes from."""

_VERSION = 1  # of the decoding below: a change makes old caches strangers
_URL = "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz"


def cub(root: Path, resolution: int = 84, cache: Path | None = None, *, skip_corrupt: bool = False) -> Dataset:
    """CUB-200-2011, `[3, resolution, resolution]` whatever the aspect was, with classes `cub/NNN.Species`.

    Args:
        root: holds `CUB_200_2011/images/NNN.Species/*.jpg`.
        resolution: height and width in pixels; the originals have about 500 on the longer side.
        cache: see `tasks.published.published`, as for `skip_corrupt` and the errors.
        skip_corrupt: leave out files that cannot be read.
    """
    bank = birds(root, resolution, cache, skip_corrupt=skip_corrupt)
    return Dataset("cub", bank, chen_split())


def birds(root: Path, resolution: int, cache: Path | None, *, skip_corrupt: bool) -> ImageBank:
    """All 200 species, arguments as of `cub`; kept once, however they are divided."""
    return published(
        "cub", CARD, _read, root, resolution, cache, version=_VERSION, lists=(LIST,), skip_corrupt=skip_corrupt
    )


def chen_split() -> ClassSplit:
    """The division of Chen et al. 2019: 100, 50 and 50 class names."""
    return read_split(LIST, "cub")


CARD = Card(
    title="CUB-200-2011",
    channels=(3,),
    count=11_788,
    split=chen_split,
    archives=(Archive(url=_URL, md5="97eceeb196236b17998738112f37df78", size=1_150_585_339, folder="CUB_200_2011"),),
    licence="non-commercial research and education",
    layouts=(("CUB_200_2011",),),
    origin=f"run metanas data fetch cub, or unpack {_URL} in the data directory",
)


def _read(root: Path, decoder: Decoder) -> dict[str, Tensor]:
    (layout,) = CARD.require(root)
    split = chen_split()
    remedy = f"move {root / layout} away and {CARD.origin}"
    return {
        name: decoder.class_folder(root / layout / "images" / name.removeprefix("cub/"), None, remedy)
        for name in sorted(name for part in SPLITS for name in split[part])
    }
