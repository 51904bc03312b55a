"""tieredImageNet: 608 classes of ImageNet, 779,165 photographs (Ren et al. 2018, arXiv 1803.00676).

Divided as there: 351 classes of 20 categories for training, 97 of 6 for validation and 160 of 8 for test. Whole
categories are divided, so that no test class has a close relative among the training classes. Read from one of two
layouts below `ROOT/tiered-imagenet`:

    {train,val,test}_images_png.pkl, {train,val,test}_labels.pkl, synsets.txt, class_names.txt
                                            84 x 84 pixels, as published; `tiered-imagenet-` may stand before each name
    {train,val,test}/nNNNNNNNN/*            class folders with the training images of ImageNet

The pickles hold resized images and the folders any size, so layouts show the same photographs and not the same bits.
A class is named `imagenet/nNNNNNNNN`, its number in WordNet, as in miniImageNet.
"""

from collections import defaultdict
from pathlib import Path

import numpy
from torch import Tensor

from tasks.card import Card
from tasks.dataset import Dataset
from tasks.decode import Decoder
from tasks.errors import DataError
from tasks.plain_pickle import read_pickle
from tasks.published import published
from tasks.split import SPLITS, ClassSplit, read_split

LIST = Path(__file__).with_name("tiered_imagenet.json")
"""The division: split -> WordNet numbers, and where it comes from."""
FOLDER = "tiered-imagenet"
"""Where all layouts lie."""

_VERSION = 1  # of the decoding below: a change makes old caches strangers
_PARTS = ("train", "val", "test")
_CLASS_FOLDERS = tuple(f"{FOLDER}/{part}" for part in _PARTS)


def tiered_imagenet(
    root: Path, resolution: int = 84, cache: Path | None = None, *, skip_corrupt: bool = False
) -> Dataset:
    """tieredImageNet, `[3, resolution, resolution]` whatever the aspect was, with classes `imagenet/nNNNNNNNN`.

    The first reading holds all images twice: 33 GB of memory at 84 x 84, 5 GB at 32 x 32; later ones map the cache.

    Args:
        root: holds `tiered-imagenet`; of several layouts the first one named above is taken.
        resolution: height and width in pixels; papers have 84.
        cache: see `tasks.published.published`, as for `skip_corrupt` and the errors.
        skip_corrupt: leave out files that cannot be read.
    """
    bank = published(
        "tiered_imagenet",
        CARD,
        _read,
        root,
        resolution,
        cache,
        version=_VERSION,
        lists=(LIST,),
        skip_corrupt=skip_corrupt,
    )
    return Dataset("tiered_imagenet", bank, ren_split())


def ren_split() -> ClassSplit:
    """The division of Ren et al. 2018: 351, 97 and 160 class names."""
    return read_split(LIST, "imagenet")


def _pickles(prefix: str) -> tuple[str, ...]:
    """The published files: images of the three parts, their labels, WordNet numbers, and class names."""
    names = [f"{part}_{kind}.pkl" for kind in ("images_png", "labels") for part in _PARTS]
    return tuple(f"{FOLDER}/{prefix}{name}" for name in (*names, "synsets.txt", "class_names.txt"))


CARD = Card(
    title="tieredImageNet",
    channels=(3,),
    side=84,
    count=779_165,
    split=ren_split,
    # No archives: the authors' link is dead, and no checksums of the copies that remain are published.
    licence="ImageNet's: non-commercial research",
    layouts=(_pickles(""), _pickles("tiered-imagenet-"), _CLASS_FOLDERS),
    origin=f"put tiered-imagenet-* of https://zenodo.org/records/7978538 (13 GB), or ImageNet's folders of its classes "
    f"in {{train,val,test}}, into {FOLDER}; no checksums are published, so that nothing is fetched",
)


def _read(root: Path, decoder: Decoder) -> dict[str, Tensor]:
    layout, split = CARD.require(root), ren_split()
    remedy = f"move {root / FOLDER} away and {CARD.origin}"
    if layout == _CLASS_FOLDERS:
        return {
            name: decoder.class_folder(root / place / _synset(name), None, remedy)
            for place, part in zip(layout, SPLITS, strict=True)
            for name in split[part]
        }
    files = [root / place for place in layout]
    named = _names_of_classes(files[6], files[7], remedy)
    images: dict[str, Tensor] = {}
    for pictures, labels, part in zip(files[:3], files[3:6], SPLITS, strict=True):
        contents = _images_of_classes(pictures, labels, remedy)
        for name in split[part]:
            found = contents.pop(named.get(_synset(name), ""), [])
            if not found:
                raise DataError(f"expected images of a class in {pictures} ({_synset(name)}), got 0; {remedy}")
            images[name] = decoder.encoded(found, f"{pictures} ({_synset(name)})")
    return images


def _names_of_classes(synsets: Path, names: Path, remedy: str) -> dict[str, str]:
    """WordNet number -> the name that labels give a class, from two files whose lines go together."""
    try:
        lines = [path.read_text(encoding="utf-8").splitlines() for path in (synsets, names)]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"expected the names of classes in {names}, got none ({error}); {remedy}") from error
    if len(lines[0]) != len(lines[1]):
        raise DataError(
            f"expected as many lines in {names} as in {synsets}, got {len(lines[1])} and {len(lines[0])}; {remedy}"
        )
    return {number.strip(): name.strip() for number, name in zip(*lines, strict=True)}


def _images_of_classes(pictures: Path, labels: Path, remedy: str) -> dict[str, list[bytes]]:
    """Name of a class -> its images, each the content of a PNG file."""
    contents = read_pickle(pictures)
    if not isinstance(contents, list) or not all(isinstance(content, numpy.ndarray) for content in contents):
        raise DataError(f"expected a list of images in {pictures}, got none; {remedy}")
    numbers, names = _labels(labels, remedy)
    if len(numbers) != len(contents) or not set(numbers) <= set(range(len(names))):
        raise DataError(
            f"expected one of {len(names)} classes in {labels} for each of {len(contents)} images, got "
            f"{len(numbers)} numbers from {min(numbers, default=0)} to {max(numbers, default=0)}; {remedy}"
        )
    found: defaultdict[str, list[bytes]] = defaultdict(list)
    for number, content in zip(numbers, contents, strict=True):
        found[names[number].strip()].append(content.tobytes())
    return found


def _labels(path: Path, remedy: str) -> tuple[list[int], list[str]]:
    """The number of the class of each image, and the names of these classes."""
    said = read_pickle(path)
    numbers = said.get("label_specific") if isinstance(said, dict) else None
    names = said.get("label_specific_str") if isinstance(said, dict) else None
    are_names = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if not isinstance(numbers, numpy.ndarray) or numbers.ndim != 1 or numbers.dtype.kind not in "iu" or not are_names:
        raise DataError(f"expected label_specific and label_specific_str in {path}, got others; {remedy}")
    return numbers.tolist(), list(names or ())


def _synset(name: str) -> str:
    """The WordNet number in a class name."""
    return name.removeprefix("imagenet/")
