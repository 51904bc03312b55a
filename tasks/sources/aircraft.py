"""FGVC-Aircraft: 100 variants of aircraft, 100 photographs each (Maji et al. 2013, arXiv 1306.5151).

Divided as in Meta-Dataset (Triantafillou et al. 2020, arXiv 1903.03096): 70 variants for training, 15 for validation
and 15 for test. The authors' own division, which is one of images, plays no part.

Photographs are shown whole but for the 20 pixels at the bottom that name their owners. Deviation: Meta-Dataset crops to
the bounding boxes of the aircraft, which is easier.
"""

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from tasks.archive import Archive
from tasks.card import Card
from tasks.dataset import Dataset
from tasks.decode import Decoder
from tasks.errors import DataError
from tasks.published import published
from tasks.split import SPLITS, ClassSplit, read_split

if TYPE_CHECKING:
    from PIL.Image import Image

LIST = Path(__file__).with_name("aircraft.json")
"""The division: split -> variants, and where it comes from."""
PER_CLASS = 100
"""Images of a variant."""
BANNER = 20
"""Height in pixels of the text below each photograph."""

_VERSION = 1  # of the decoding below: a change makes old caches strangers
_URL = "https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz"


def aircraft(root: Path, resolution: int = 84, cache: Path | None = None, *, skip_corrupt: bool = False) -> Dataset:
    """FGVC-Aircraft, `[3, resolution, resolution]` whatever the aspect was, with classes `aircraft/VARIANT`.

    Args:
        root: holds `fgvc-aircraft-2013b/data`, with `images/*.jpg` and `images_variant_{trainval,test}.txt`.
        resolution: height and width in pixels; the originals have about 1024 on the longer side.
        cache: see `tasks.published.published`, as for `skip_corrupt` and the errors.
        skip_corrupt: leave out files that cannot be read.
    """
    bank = published(
        "aircraft", CARD, _read, root, resolution, cache, version=_VERSION, lists=(LIST,), skip_corrupt=skip_corrupt
    )
    return Dataset("aircraft", bank, meta_dataset_split())


def meta_dataset_split() -> ClassSplit:
    """The division of Meta-Dataset: 70, 15 and 15 class names."""
    return read_split(LIST, "aircraft")


CARD = Card(
    title="FGVC-Aircraft",
    channels=(3,),
    per_class=PER_CLASS,
    split=meta_dataset_split,
    archives=(
        Archive(url=_URL, md5="d4acdd33327262359767eeaa97a4f732", size=2_753_340_328, folder="fgvc-aircraft-2013b"),
    ),
    licence="non-commercial research",
    layouts=(("fgvc-aircraft-2013b",),),
    origin=f"run metanas data fetch aircraft, or unpack {_URL} in the data directory",
)


def _read(root: Path, decoder: Decoder) -> dict[str, Tensor]:
    (layout,) = CARD.require(root)
    split, path = meta_dataset_split(), root / layout / "data"
    remedy = f"move {root / layout} away and {CARD.origin}"
    files = _files_of_variants(path, remedy)
    return {
        name: decoder.class_files(files[name], f"{path} ({name})", PER_CLASS, remedy, crop=_without_banner)
        for name in sorted(name for part in SPLITS for name in split[part])
    }


def _files_of_variants(path: Path, remedy: str) -> defaultdict[str, list[Path]]:
    """Class name -> its images, as the annotation files say: lines of an image's number and its variant."""
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for part in ("trainval", "test"):
        annotations = path / f"images_variant_{part}.txt"
        try:
            lines = annotations.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"expected annotations in {annotations}, got none ({error}); {remedy}") from error
        for i, line in enumerate(lines, 1):
            number, _, variant = line.strip().partition(" ")
            if not number.isdecimal() or not variant:
                raise DataError(f"expected an image and its variant in {annotations}, line {i}, got {line!r}; {remedy}")
            found[f"aircraft/{variant}"].append(path / "images" / f"{number}.jpg")
    return found


def _without_banner(picture: "Image") -> "Image":
    return picture.crop((0, 0, picture.width, picture.height - BANNER))
