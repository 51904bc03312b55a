"""EMNIST: handwritten digits and letters, grey, 28 x 28, ink bright on black (Cohen et al. 2017, arXiv 1702.05373).

    emnist_byclass     62 classes of unequal size, 814,255 images
    emnist_balanced    47 classes of 2,800 of these images; 15 letters have both cases in one class

Divided as in the experiments from Omniglot to EMNIST of Chen et al. 2019 (arXiv 1904.04232): every second class for
validation and for test, none for training. Both cases of a letter fall on one side, so the same lists divide the
balanced classes, and neither data set leaks into the other. The two official parts are taken together, and images are
turned upright: the files have rows and columns exchanged. A class is named `emnist/CHARACTER`. Either layout is read:

    ROOT/emnist/gzip/emnist-*.gz    as published
    ROOT/EMNIST/raw/emnist-*        as torchvision unpacks it
"""

import gzip
import json
import shutil
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Literal

import torch
from torch import Tensor

from tasks.archive import Archive
from tasks.card import Card
from tasks.dataset import Dataset
from tasks.decode import Decoder
from tasks.errors import DataError
from tasks.labelled import by_class
from tasks.published import published
from tasks.split import SPLITS, ClassSplit

LIST = Path(__file__).with_name("emnist.json")
"""The division: split -> characters, the letters of two cases in one balanced class, and where it comes from."""
PACKED, RAW = "emnist/gzip", "EMNIST/raw"
"""Where the two layouts lie."""
Kind = Literal["balanced", "byclass"]
COUNTS: dict[Kind, tuple[int, int]] = {"balanced": (112_800, 18_800), "byclass": (697_932, 116_323)}
"""Images in the two official parts."""

_VERSION = 1  # of the decoding below: a change makes old caches strangers
# What torchvision's reader of idx files and gzip make of damage.
_UNREADABLE = (AssertionError, IndexError, KeyError, RuntimeError, TypeError, ValueError, EOFError, OSError, zlib.error)


def emnist_balanced(
    root: Path, resolution: int = 28, cache: Path | None = None, *, skip_corrupt: bool = False
) -> Dataset:
    """The 47 balanced classes, `[1, resolution, resolution]`, 22 for validation and 25 for test.

    Args:
        root: holds `emnist/gzip` or `EMNIST/raw`; the first is taken where both are there.
        resolution: height and width in pixels; smaller ones are averaged down, larger ones interpolated.
        cache: see `tasks.published.published`, as for the errors.
        skip_corrupt: without effect, as no image has a file of its own.
    """
    return _dataset("balanced", BALANCED, root, resolution, cache, skip_corrupt)


def emnist_byclass(
    root: Path, resolution: int = 28, cache: Path | None = None, *, skip_corrupt: bool = False
) -> Dataset:
    """All 62 classes, 31 for validation and 31 for test; arguments as of `emnist_balanced`."""
    return _dataset("byclass", BYCLASS, root, resolution, cache, skip_corrupt)


def cross_split(kind: Kind) -> ClassSplit:
    """The division of Chen et al. 2019 among the classes of `kind`: none, and every second one."""
    here = set(_characters(kind))
    lists = json.loads(LIST.read_text(encoding="utf-8"))
    return ClassSplit(*(tuple(f"emnist/{c}" for c in lists[split] if c in here) for split in SPLITS))


def _characters(kind: Kind) -> list[str]:
    """The characters of `kind` in the order of their labels, which is that of their codes."""
    lists = json.loads(LIST.read_text(encoding="utf-8"))
    merged = lists["merged"] if kind == "balanced" else ""
    return sorted(c for split in SPLITS for c in lists[split] if c not in merged)


def _dataset(kind: Kind, card: Card, root: Path, resolution: int, cache: Path | None, skip_corrupt: bool) -> Dataset:
    name, read = f"emnist_{kind}", partial(_read, kind, card)
    bank = published(
        name, card, read, root, resolution, cache, version=_VERSION, lists=(LIST,), skip_corrupt=skip_corrupt
    )
    return Dataset(name, bank, cross_split(kind))


def _read(kind: Kind, card: Card, root: Path, decoder: Decoder) -> dict[str, Tensor]:
    from tasks._compat import torchvision

    (layout,) = card.require(root)
    names = [f"emnist/{c}" for c in _characters(kind)]
    remedy = f"move {root / layout} away and {card.origin}"
    readers = torchvision.datasets.mnist
    parts = []
    for part, count in zip(("train", "test"), COUNTS[kind], strict=True):
        prefix = root / layout / f"emnist-{kind}-{part}"
        pixels = _idx(Path(f"{prefix}-images-idx3-ubyte"), readers.read_image_file, remedy)
        labels = _idx(Path(f"{prefix}-labels-idx1-ubyte"), readers.read_label_file, remedy)
        if len(pixels) != count:
            raise DataError(f"expected {count} images in {prefix}-images-idx3-ubyte, got {len(pixels)}; {remedy}")
        parts.append(by_class(pixels.transpose(1, 2)[:, None], labels, names, decoder.image, remedy=remedy))
    return {name: torch.cat([part[name] for part in parts]) for name in names}


def _idx(file: Path, read: Callable[[str], Tensor], remedy: str) -> Tensor:
    """What `read` makes of `file`, or of the compressed file beside it."""
    packed = file.with_name(f"{file.name}.gz")
    if not file.is_file() and not packed.is_file():
        raise DataError(f"expected {file} or {packed.name}, got neither; {remedy}")
    try:
        if file.is_file():
            return read(str(file))
        with gzip.open(packed) as content, NamedTemporaryFile() as unpacked:
            shutil.copyfileobj(content, unpacked)
            unpacked.flush()
            return read(unpacked.name)
    except _UNREADABLE as error:
        found = file if file.is_file() else packed
        raise DataError(f"expected {found} to be a whole idx file, got one that cannot be read; {remedy}") from error


BYCLASS = Card(
    title="EMNIST",
    channels=(1,),
    side=28,
    count=sum(COUNTS["byclass"]),
    split=partial(cross_split, "byclass"),
    archives=(
        Archive(
            url="https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
            md5="58c8d27c78d21e728a6bc7b3cc06412e",
            size=561_753_746,
            folder=PACKED,
        ),
    ),
    licence="none stated",
    layouts=((PACKED,), (RAW,)),
    origin="run metanas data fetch emnist_byclass, or unpack https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip "
    "in emnist",
)
BALANCED = replace(BYCLASS, count=sum(COUNTS["balanced"]), split=partial(cross_split, "balanced"))
