"""Class splits: which classes may be learned from, chosen with, and reported on.

A class has one name in every data set that shows it, such as `cifar100/apple`, so that splits can be compared.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, islice
from pathlib import Path
from typing import Literal

import torch

from tasks.errors import DataError
from tasks.stream import stream

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")
HELD_OUT: tuple[SplitName, ...] = ("validation", "test")
"""What no training may see."""
_NAMED = 8  # classes that a message names


@dataclass(frozen=True)
class ClassSplit:
    """Three class lists that share no class: a class seen in training is never tested."""

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    def __post_init__(self) -> None:
        for a, b in combinations(SPLITS, 2):
            shared = sorted(set(self[a]) & set(self[b]))
            if shared:
                raise DataError(
                    f"splits must share no class, but {a} and {b} share {len(shared)}, first {shared[0]!r}; "
                    "remove it from one of the lists"
                )

    def __getitem__(self, split: SplitName) -> tuple[str, ...]:
        """The class list of one split."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[split]


def read_split(path: Path, source: str) -> ClassSplit:
    """The split in the JSON file `path`, lists `train`, `validation` and `test`; a class is named `SOURCE/CLASS`."""
    lists = json.loads(path.read_text(encoding="utf-8"))
    return ClassSplit(*(tuple(f"{source}/{name}" for name in lists[split]) for split in SPLITS))


def random_split(published: ClassSplit) -> ClassSplit:
    """All its classes dealt out again at random, into lists as long as the published ones; always the same way.

    Classes of one group, such as the characters of an alphabet, may then be in different lists: MAML (Finn et al. 2017,
    arXiv 1703.03400, section 5.2) and T-NAS divide Omniglot so, which makes unseen characters more like seen ones.
    Deviation: they draw 1,200 characters for training and validation, as many as the published lists have.
    """
    names = sorted(name for split in SPLITS for name in published[split])
    order = torch.randperm(len(names), generator=stream(0, "random split")).tolist()
    dealt = iter(names[i] for i in order)
    return ClassSplit(*(tuple(islice(dealt, len(published[split]))) for split in SPLITS))


def refuse_seen(trained: Sequence[str], learner: str, held_out: Sequence[str], judge: str) -> None:
    """Raises `DataError` when classes are `held_out` that were `trained` on, perhaps as part of another data set.

    Args:
        trained: names of training classes.
        learner: whose they are, for the message.
        held_out: names of the classes that choose or report.
        judge: whose they are, for the message, e.g. `the test classes of fc100`.
    """
    seen = set(trained)
    shared = [name for name in held_out if name in seen]
    if shared:
        more = f" and {len(shared) - _NAMED} more" if len(shared) > _NAMED else ""
        raise DataError(
            f"{judge} must be unseen, but {learner} trains on {len(shared)} of them: "
            f"{', '.join(shared[:_NAMED])}{more}; keep the two in separate runs"
        )
