"""CUB-200-2011 in the division of FEAT (Ye et al. 2020, arXiv 1812.03664): 100, 50 and 50 species drawn at random."""

from dataclasses import replace
from pathlib import Path

from tasks.dataset import Dataset
from tasks.sources import cub
from tasks.split import ClassSplit, read_split

LIST = Path(__file__).with_name("cub_feat.json")
"""The division: split -> species, and where it comes from."""


def ye_split() -> ClassSplit:
    """The division of Ye et al. 2020: 100, 50 and 50 class names."""
    return read_split(LIST, "cub")


CARD = replace(cub.CARD, split=ye_split)


def cub_feat(root: Path, resolution: int = 84, cache: Path | None = None, *, skip_corrupt: bool = False) -> Dataset:
    """CUB-200-2011, `[3, resolution, resolution]`; arguments and errors as of `cub.cub`."""
    return Dataset("cub_feat", cub.birds(root, resolution, cache, skip_corrupt=skip_corrupt), ye_split())
