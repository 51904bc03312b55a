"""GTSRB: 43 German traffic signs, 39,209 images in colours, 15 to 250 pixels wide (Stallkamp et al. 2012).

Neural Networks 32, doi 10.1016/j.neunet.2012.02.016. Meta-Dataset (Triantafillou et al. 2020, arXiv 1903.03096) calls
it Traffic Sign and uses all of its classes for test alone, as here. Its images are the official training set
`GTSRB_Final_Training_Images.zip`; what torchvision calls the training set is an earlier release of 26,640 of them.
A class is named `gtsrb/NN.SIGN`.
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

LIST = Path(__file__).with_name("gtsrb.json")
"""The division: split -> class -> how many images it has, and where it comes from."""
IMAGES = "GTSRB/Final_Training/Images"
"""Where the class folders `00000` to `00042` lie."""

_VERSION = 1  # of the decoding below: a change makes old caches strangers


def gtsrb(root: Path, resolution: int = 32, cache: Path | None = None, *, skip_corrupt: bool = False) -> Dataset:
    """GTSRB, `[3, resolution, resolution]`, 210 to 2,250 images a class, without a cut to the sign.

    Args:
        root: holds `GTSRB/Final_Training/Images/NNNNN/*.ppm`.
        resolution: height and width in pixels; images are not square, and made so.
        cache: see `tasks.published.published`, as for `skip_corrupt` and the errors.
        skip_corrupt: leave out files that cannot be read.
    """
    bank = published(
        "gtsrb", CARD, _read, root, resolution, cache, version=_VERSION, lists=(LIST,), skip_corrupt=skip_corrupt
    )
    return Dataset("gtsrb", bank, meta_dataset_split())


def meta_dataset_split() -> ClassSplit:
    """The division of Meta-Dataset: 0, 0 and 43 class names."""
    lists = json.loads(LIST.read_text(encoding="utf-8"))
    return ClassSplit(*(tuple(f"gtsrb/{name}" for name in lists[split]) for split in SPLITS))


def counts() -> dict[str, int]:
    """How many images each class has, in the order of the class folders."""
    lists = json.loads(LIST.read_text(encoding="utf-8"))
    return {f"gtsrb/{name}": count for split in SPLITS for name, count in lists[split].items()}


CARD = Card(
    title="GTSRB",
    channels=(3,),
    count=39_209,
    split=meta_dataset_split,
    archives=(
        Archive(
            url="https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/GTSRB_Final_Training_Images.zip",
            # The authors state none; readers of this archive by several hands agree on this one.
            md5="f33fd80ac59bff73c82d25ab499e03a3",
            size=276_294_756,
            folder="GTSRB",
        ),
    ),
    licence="none stated",
    layouts=(("GTSRB",),),
    origin="run metanas data fetch gtsrb, or unpack GTSRB_Final_Training_Images.zip of "
    "https://benchmark.ini.rub.de/gtsrb_dataset.html in the data directory",
)


def _read(root: Path, decoder: Decoder) -> dict[str, Tensor]:
    CARD.require(root)
    remedy = f"move {root / 'GTSRB'} away and {CARD.origin}"
    return {
        name: decoder.class_folder(root / IMAGES / f"{i:05d}", count, remedy)
        for i, (name, count) in enumerate(counts().items())
    }
