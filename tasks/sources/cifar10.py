"""CIFAR-10: 50,000 training and 10,000 test images of ten classes, in colours, 32 x 32 (Krizhevsky 2009).

The data set on which a search for a single task is usually judged. It is divided by image; no division of its classes
is published, and ten are too few for 5-way episodes of unseen ones. Classes are named `cifar10/CLASS`.
"""

from pathlib import Path

from torch import Tensor

from tasks.archive import Archive
from tasks.card import Card
from tasks.decode import Decoder
from tasks.image_split import ImageSplit, Part, published_parts
from tasks.labelled import by_class
from tasks.sources.cifar_batches import read_batches

BATCHES = "cifar-10-batches-py"
"""Where the official batches lie."""
CARD = Card(
    title="CIFAR-10",
    channels=(3,),
    side=32,
    shared=10,
    parts=(50_000, 10_000),
    archives=(
        Archive(
            url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            md5="c58f30108f718f92721af3b95e74349a",
            size=170_498_071,
            folder=BATCHES,
        ),
    ),
    licence="none stated",
    layouts=((BATCHES,),),
    origin="run metanas data fetch cifar10, or unpack https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz "
    "in the data directory",
)

_VERSION = 1  # of the decoding below: a change makes old caches strangers


def cifar10(root: Path, resolution: int = 32, cache: Path | None = None) -> ImageSplit:
    """CIFAR-10 as its authors divide it, `[3, resolution, resolution]`, classes in the order of the labels.

    Args:
        root: holds `cifar-10-batches-py`, as torchvision unpacks it.
        resolution: height and width in pixels; smaller ones are averaged down, larger ones interpolated.
        cache: see `tasks.published.published`, as for the errors.
    """
    return published_parts("cifar10", CARD, _read, root, resolution, cache, version=_VERSION)


def _read(part: Part, root: Path, decoder: Decoder) -> dict[str, Tensor]:
    (folder,) = CARD.require(root)
    batches = read_batches("CIFAR10", root / folder, train=part == "train", remedy=CARD.origin)
    names = [f"cifar10/{name}" for name in batches.names]
    return by_class(batches.pixels, batches.labels, names, decoder.image, remedy=CARD.origin)
