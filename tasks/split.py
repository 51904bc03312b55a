"""Class splits: which classes may be learned from, chosen with, and reported on."""

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from tasks.errors import DataError

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")


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
