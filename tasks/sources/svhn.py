"""SVHN: house numbers in street views, 73,257 training and 26,032 test images of single digits, in colours, 32 x 32.

Netzer et al. 2011, "Reading Digits in Natural Images with Unsupervised Feature Learning"; the cropped digits (format 2)
without the 531,131 easier "extra" ones. Divided by image; classes are named `svhn/0` to `svhn/9`.
"""

from pathlib import Path

import torch
from torch import Tensor

from tasks.archive import Archive
from tasks.card import Card
from tasks.decode import Decoder
from tasks.image_split import PARTS, ImageSplit, Part, published_parts
from tasks.labelled import by_class, require_files

FOLDER = "svhn"
"""Where its two files lie."""
_PUBLISHED = "http://ufldl.stanford.edu/housenumbers"  # the server speaks no https; what counts is the checksum
_NAMES = [f"svhn/{digit}" for digit in range(10)]

CARD = Card(
    title="SVHN",
    channels=(3,),
    side=32,
    shared=len(_NAMES),
    parts=(73_257, 26_032),
    archives=(
        Archive(
            url=f"{_PUBLISHED}/train_32x32.mat",
            md5="e26dedcc434d2e4c54c9b2d4a06d8373",
            size=182_040_794,
            folder=FOLDER,
        ),
        Archive(
            url=f"{_PUBLISHED}/test_32x32.mat",
            md5="eb5a983be6a315427106f1b164d9cef3",
            size=64_275_384,
            folder=FOLDER,
        ),
    ),
    licence="non-commercial use",
    layouts=(tuple(f"{FOLDER}/{part}_32x32.mat" for part in PARTS),),
    origin=f"run metanas data fetch svhn, or put train_32x32.mat and test_32x32.mat of {_PUBLISHED} in {FOLDER}",
)

_VERSION = 1  # of the decoding below: a change makes old caches strangers


def svhn(root: Path, resolution: int = 32, cache: Path | None = None) -> ImageSplit:
    """SVHN as its authors divide it, `[3, resolution, resolution]`, digits in order, zero first.

    Args:
        root: holds `svhn/train_32x32.mat` and `svhn/test_32x32.mat`.
        resolution: height and width in pixels; smaller ones are averaged down, larger ones interpolated.
        cache: see `tasks.published.published`, as for the errors.
    """
    return published_parts("svhn", CARD, _read, root, resolution, cache, version=_VERSION)


def _read(part: Part, root: Path, decoder: Decoder) -> dict[str, Tensor]:
    from tasks._compat import torchvision

    CARD.require(root)
    reader = torchvision.datasets.SVHN
    _, name, md5 = reader.split_list[part]
    require_files(root / FOLDER, {name: md5}, remedy=CARD.origin)
    data = reader(root / FOLDER, split=part)  # it calls the label 10 of the files 0
    pixels, labels = torch.from_numpy(data.data), torch.from_numpy(data.labels)
    return by_class(pixels, labels, _NAMES, decoder.image, remedy=CARD.origin)
