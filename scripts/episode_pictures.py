"""Draws one test episode of every data set that is here: `docs/images/episode_NAME.png`.

Episode 0 of seed 0, 5 ways, 1 shot, 5 queries, as a network would be given it. A row is a class, its support image on
the left. Data sets divided by image have no episodes: of them a row is a class of the training images. Colours are
rounded to 256, and the names of the classes are printed, for the page that shows the picture.

Usage: python scripts/episode_pictures.py [--root DIR] [--out DIR] [NAME ...]
"""

import argparse
import sys
from pathlib import Path

from torch import Tensor

from tasks import EpisodeSampler, ImageBank, TaskSpec
from tasks.catalogue import CARDS, IMAGE_READERS, READERS
from tasks.contact_sheet import enlarged, sheet_of, sheet_of_episode
from tasks.data_root import cache_root, find_data_root
from tasks.picture import to_picture
from tasks.sources.glyphs import glyphs

SHOWN = [name for name in CARDS if name != "folder"]
PER_CLASS = 4
"""Images of a class, where a data set is divided by image."""


def is_here(name: str, root: Path | None) -> bool:
    card = CARDS[name]
    return not card.layouts or (root is not None and card.find(root) is not None)


def sheet(name: str, root: Path) -> tuple[Tensor, list[str]]:
    """The picture of a data set, uint8 `[c, height, width]`, and the classes of its rows from the top."""
    if name in IMAGE_READERS:
        bank = IMAGE_READERS[name](root, cache=cache_root())["train"]
        return sheet_of(bank, bank.classes, PER_CLASS), list(bank.classes)
    dataset = glyphs(cache=cache_root()) if name == "glyphs" else READERS[name](root, cache=cache_root())
    return episode_of(dataset["test"])


def episode_of(bank: ImageBank) -> tuple[Tensor, list[str]]:
    sampler = EpisodeSampler(bank, TaskSpec(n_way=5, k_shot=1, n_query=5, image=bank.image), seed=0)
    first = sampler.rows([0])[0, :, 0]
    of_row = [int(((bank.starts <= row) & (row < bank.starts + bank.counts)).nonzero()) for row in first]
    return sheet_of_episode(sampler[0]), [bank.classes[i] for i in of_row]


def main() -> int:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(SHOWN)}; all that are here")
    parser.add_argument("--root", help="the data directory, else METANAS_DATA")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "images")
    given = parser.parse_args()
    root = find_data_root(given.root)
    names = given.names or [name for name in SHOWN if is_here(name, root)]
    wrong = [name for name in names if name not in SHOWN or not is_here(name, root)]
    if wrong:
        parser.error(f"expected data sets that are below {root}, got {wrong[0]}; see metanas data list")
    for name in names:
        drawn, classes = sheet(name, root or Path())
        zoom = 2 if drawn.shape[1] < 400 else 1  # small images are hard to see
        path = given.out / f"episode_{name}.png"
        to_picture(enlarged(drawn, zoom)).quantize(256).save(path, optimize=True)
        print(f"{path}: {', '.join(classes)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
