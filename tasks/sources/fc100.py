"""FC100: CIFAR-100 in 60 training, 20 validation and 20 test classes (Oreshkin et al. 2018, arXiv 1805.10123).

Whole superclasses are divided, 12, 4 and 4 of them: no test class has a relative among the training classes, which
makes FC100 harder than CIFAR-FS on the same images.
"""

import json
from dataclasses import replace
from pathlib import Path

from tasks.dataset import Dataset
from tasks.sources import cifar100
from tasks.split import SPLITS, ClassSplit

LIST = Path(__file__).with_name("fc100.json")
"""The division: split -> superclasses, and where it comes from."""


def oreshkin_split() -> ClassSplit:
    """The division of Oreshkin et al. 2018: 60, 20 and 20 class names `cifar100/CLASS`."""
    lists, groups = json.loads(LIST.read_text(encoding="utf-8")), cifar100.superclasses()
    return ClassSplit(*(tuple(name for group in lists[split] for name in groups[group]) for split in SPLITS))


CARD = replace(cifar100.CARD, split=oreshkin_split)


def fc100(root: Path, resolution: int = 32, cache: Path | None = None, *, skip_corrupt: bool = False) -> Dataset:
    """FC100, `[3, resolution, resolution]`, 600 images a class; arguments and errors as of `cifar100.cifar100`."""
    bank = cifar100.cifar100(root, resolution, cache, skip_corrupt=skip_corrupt)
    return Dataset("fc100", bank, oreshkin_split())
