"""CIFAR-FS: CIFAR-100 in 64 training, 16 validation and 20 test classes (Bertinetto et al. 2019, arXiv 1805.08136).

Classes are drawn at random, so that a test class often has relatives of its superclass among the training classes.
"""

from dataclasses import replace
from pathlib import Path

from tasks.dataset import Dataset
from tasks.sources import cifar100
from tasks.split import ClassSplit, read_split

LIST = Path(__file__).with_name("cifar_fs.json")
"""The division: split -> classes, and where it comes from."""


def bertinetto_split() -> ClassSplit:
    """The division of Bertinetto et al. 2019: 64, 16 and 20 class names `cifar100/CLASS`."""
    return read_split(LIST, "cifar100")


CARD = replace(cifar100.CARD, split=bertinetto_split)


def cifar_fs(root: Path, resolution: int = 32, cache: Path | None = None, *, skip_corrupt: bool = False) -> Dataset:
    """CIFAR-FS, `[3, resolution, resolution]`, 600 images a class; arguments and errors as of `cifar100.cifar100`."""
    bank = cifar100.cifar100(root, resolution, cache, skip_corrupt=skip_corrupt)
    return Dataset("cifar_fs", bank, bertinetto_split())
