"""VGG Flowers: 102 flowers, 40 to 258 photographs each, 8,189 in all (Nilsback and Zisserman 2008, ICVGIP).

Divided as in Meta-Dataset (Triantafillou et al. 2020, arXiv 1903.03096): 71 flowers for training, 15 for validation
and 16 for test. The authors' own division, which is one of images, plays no part.
"""

from pathlib import Path

from torch import Tensor

from tasks.archive import Archive
from tasks.card import Card
from tasks.dataset import Dataset
from tasks.decode import Decoder
from tasks.errors import DataError
from tasks.published import published
from tasks.split import SPLITS, ClassSplit, read_split

LIST = Path(__file__).with_name("vgg_flowers.json")
"""The division: split -> numbers and names of flowers, and where it comes from."""
IMAGES, LABELS = "flowers-102/jpg", "flowers-102/imagelabels.mat"
"""Where the photographs lie, and the number of the flower that each shows."""

_VERSION = 1  # of the decoding below: a change makes old caches strangers
_PUBLISHED = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102"


def vgg_flowers(root: Path, resolution: int = 84, cache: Path | None = None, *, skip_corrupt: bool = False) -> Dataset:
    """VGG Flowers, `[3, resolution, resolution]` whatever the aspect was, with classes `vgg_flowers/NNN.name`.

    Args:
        root: holds `flowers-102/jpg/image_NNNNN.jpg` and `flowers-102/imagelabels.mat`, as torchvision unpacks them.
        resolution: height and width in pixels; the originals have 500 or more a side.
        cache: see `tasks.published.published`, as for `skip_corrupt` and the errors.
        skip_corrupt: leave out files that cannot be read.
    """
    bank = published(
        "vgg_flowers", CARD, _read, root, resolution, cache, version=_VERSION, lists=(LIST,), skip_corrupt=skip_corrupt
    )
    return Dataset("vgg_flowers", bank, meta_dataset_split())


def meta_dataset_split() -> ClassSplit:
    """The division of Meta-Dataset: 71, 15 and 16 class names."""
    return read_split(LIST, "vgg_flowers")


CARD = Card(
    title="VGG Flowers",
    channels=(3,),
    count=8_189,
    split=meta_dataset_split,
    archives=(
        Archive(
            url=f"{_PUBLISHED}/102flowers.tgz",
            md5="52808999861908f626f3c1f4e79d11fa",
            size=344_862_509,
            folder=IMAGES,
        ),
        Archive(
            url=f"{_PUBLISHED}/imagelabels.mat",
            md5="e0620be6f572b9609742df49c70aed4d",
            size=502,
            folder="flowers-102",
        ),
    ),
    licence="none stated",
    layouts=((IMAGES, LABELS),),
    origin=f"run metanas data fetch vgg_flowers, or put imagelabels.mat and what is in 102flowers.tgz of "
    f"{_PUBLISHED}/ in flowers-102",
)


def _read(root: Path, decoder: Decoder) -> dict[str, Tensor]:
    CARD.require(root)
    split = meta_dataset_split()
    remedy = f"move {root / 'flowers-102'} away and {CARD.origin}"
    files: dict[int, list[Path]] = {}
    for i, flower in enumerate(_flowers(root / LABELS, remedy), 1):
        files.setdefault(flower, []).append(root / IMAGES / f"image_{i:05d}.jpg")
    return {
        name: decoder.class_files(files.get(_number(name), []), f"{root / LABELS} ({name})", None, remedy)
        for name in sorted(name for part in SPLITS for name in split[part])
    }


def _number(name: str) -> int:
    return int(name.removeprefix("vgg_flowers/").partition(".")[0])


def _flowers(path: Path, remedy: str) -> list[int]:
    """The number of the flower on each photograph, from 1 on."""
    from scipy.io import loadmat

    try:
        return [int(flower) for flower in loadmat(path)["labels"].ravel()]
    except Exception as error:  # damaged files make scipy's reader raise nearly anything
        reason = str(error) or type(error).__name__
        raise DataError(f"expected the labels of {CARD.title} in {path}, got none ({reason}); {remedy}") from error
