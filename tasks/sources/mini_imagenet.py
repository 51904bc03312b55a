"""miniImageNet: 100 classes of ImageNet, 600 photographs each (Vinyals et al. 2016, arXiv 1606.04080).

Divided as in Ravi and Larochelle 2017 (ICLR): 64 classes for training, 16 for validation and 20 for test. Read from one
of three layouts below `ROOT/mini-imagenet`:

    mini-imagenet-cache-{train,validation,test}.pkl     84 x 84 pixels, as learn2learn distributes it; val is also read
    {train,val,test}/nNNNNNNNN/*.jpg                    class folders
    images/nNNNNNNNN*.jpg                               one folder, files named as in the lists of Ravi and Larochelle

The pickles hold resized images and the folders any size, so layouts show the same photographs and not the same bits.
A class is named `imagenet/nNNNNNNNN`, its number in WordNet, as in tieredImageNet.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.archive import Archive
from tasks.card import Card
from tasks.dataset import Dataset
from tasks.decode import Decoder, image_files
from tasks.errors import DataError
from tasks.picture import to_pixels
from tasks.plain_pickle import read_pickle
from tasks.published import published
from tasks.split import SPLITS, ClassSplit, read_split

LIST = Path(__file__).with_name("mini_imagenet.json")
"""The division: split -> WordNet numbers, and where it comes from."""
PER_CLASS = 600
"""Images of a class."""
FOLDER = "mini-imagenet"
"""Where all layouts lie."""

_VERSION = 1  # of the decoding below: a change makes old caches strangers
_PUBLISHED = "https://zenodo.org/records/7978538/files"
_IMAGES = f"{FOLDER}/images"
_CLASS_FOLDERS = tuple(f"{FOLDER}/{part}" for part in ("train", "val", "test"))


def mini_imagenet(
    root: Path, resolution: int = 84, cache: Path | None = None, *, skip_corrupt: bool = False
) -> Dataset:
    """miniImageNet, `[3, resolution, resolution]` whatever the aspect was, with classes `imagenet/nNNNNNNNN`.

    Args:
        root: holds `mini-imagenet`; of several layouts the first one named above is taken.
        resolution: height and width in pixels; papers have 84.
        cache: see `tasks.published.published`, as for `skip_corrupt` and the errors.
        skip_corrupt: leave out files that cannot be read.
    """
    bank = published(
        "mini_imagenet",
        CARD,
        _read,
        root,
        resolution,
        cache,
        version=_VERSION,
        lists=(LIST,),
        skip_corrupt=skip_corrupt,
    )
    return Dataset("mini_imagenet", bank, ravi_split())


def ravi_split() -> ClassSplit:
    """The division of Ravi and Larochelle 2017: 64, 16 and 20 class names."""
    return read_split(LIST, "imagenet")


def _pickle_of(part: str) -> str:
    return f"mini-imagenet-cache-{part}.pkl"


CARD = Card(
    title="miniImageNet",
    channels=(3,),
    side=84,
    per_class=PER_CLASS,
    split=ravi_split,
    archives=tuple(
        Archive(url=f"{_PUBLISHED}/{_pickle_of(part)}", md5=md5, size=size, folder=FOLDER)
        for part, md5, size in (
            ("train", "ee4e80dc7b716f3ceec891d199b5277a", 1_145_461_190),
            ("validation", "c1145a80890b88d54a67d6e0022d53a5", 292_661_258),
            ("test", "389b6c59d348b2e1ae9610f00a5e6724", 353_647_539),
        )
    ),
    licence="ImageNet's: non-commercial research",
    layouts=(
        *(tuple(f"{FOLDER}/{_pickle_of(part)}" for part in ("train", held, "test")) for held in ("validation", "val")),
        _CLASS_FOLDERS,
        (_IMAGES,),
    ),
    origin=f"run metanas data fetch mini_imagenet, or put mini-imagenet-cache-*.pkl of {_PUBLISHED}, or images that "
    f"you have, in {FOLDER}",
)


def _read(root: Path, decoder: Decoder) -> dict[str, Tensor]:
    layout, split = CARD.require(root), ravi_split()
    remedy = f"move {root / FOLDER} away and {CARD.origin}"
    if layout == (_IMAGES,):
        return _read_images(root / _IMAGES, [name for part in SPLITS for name in split[part]], decoder, remedy)
    read = _read_class_folders if layout == _CLASS_FOLDERS else _read_pickle
    images: dict[str, Tensor] = {}
    for place, part in zip(layout, SPLITS, strict=True):
        images |= read(root / place, split[part], decoder, remedy)
    return images


def _read_class_folders(path: Path, names: Sequence[str], decoder: Decoder, remedy: str) -> dict[str, Tensor]:
    return {name: decoder.class_folder(path / _synset(name), PER_CLASS, remedy) for name in names}


def _read_images(path: Path, names: Sequence[str], decoder: Decoder, remedy: str) -> dict[str, Tensor]:
    files: defaultdict[str, list[Path]] = defaultdict(list)
    for file in image_files(path):
        files[file.name[: len("nNNNNNNNN")]].append(file)
    return {
        name: decoder.class_files(files[_synset(name)], f"{path} ({_synset(name)})", PER_CLASS, remedy)
        for name in names
    }


def _read_pickle(path: Path, names: Sequence[str], decoder: Decoder, remedy: str) -> dict[str, Tensor]:
    pixels, rows = _content(path, remedy)
    images = {}
    for name in names:
        of_class = rows.get(_synset(name), ())
        if len(of_class) != PER_CLASS or not all(0 <= row < len(pixels) for row in of_class):
            raise DataError(
                f"expected {PER_CLASS} images of a class in {path} ({_synset(name)}), got {len(of_class)} "
                f"among its {len(pixels)}; {remedy}"
            )
        images[name] = torch.stack([_resized(pixels[row], decoder) for row in of_class])
    return images


def _content(path: Path, remedy: str) -> tuple[NDArray[Any], Mapping[str, Sequence[int]]]:
    """Images `[n, h, w, 3]`, uint8, and the rows of each WordNet number."""
    content = read_pickle(path)
    pixels = content.get("image_data") if isinstance(content, dict) else None
    rows = content.get("class_dict") if isinstance(content, dict) else None
    if not isinstance(pixels, numpy.ndarray) or pixels.dtype != numpy.uint8 or pixels.shape[3:] != (3,):
        raise DataError(f"expected image_data in {path}, uint8 [n, h, w, 3], got none; {remedy}")
    if not isinstance(rows, dict) or not all(map(_are_numbers, rows.values())):
        raise DataError(f"expected class_dict in {path}, class -> numbers of images, got none; {remedy}")
    return pixels, rows


def _are_numbers(rows: object) -> bool:
    if isinstance(rows, numpy.ndarray):
        return rows.ndim == 1 and rows.dtype.kind in "iu"
    return isinstance(rows, range) or (isinstance(rows, list) and all(isinstance(row, int) for row in rows))


def _resized(pixels: NDArray[Any], decoder: Decoder) -> Tensor:
    """One image `[h, w, 3]` as `decoder` gives those of files."""
    from PIL.Image import fromarray

    return to_pixels(fromarray(numpy.ascontiguousarray(pixels)), decoder.image)


def _synset(name: str) -> str:
    """The WordNet number in a class name."""
    return name.removeprefix("imagenet/")
