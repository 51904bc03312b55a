"""The role of an explorer: it says which architecture to score next, and sees nothing but the scores so far.

An explorer is a function of the trials, so whoever keeps these can stop and go on at any time. Who gives the scores, an
`Estimator`, may be a table or a training run.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from metanas.explore.growth import CellChoice


class Trial(NamedTuple):
    """An architecture that was scored."""

    cell: CellChoice
    score: float
    """Higher is better."""
    seconds: float
    """What the score took."""


@runtime_checkable
class Explorer(Protocol):
    """Chooses what to score."""

    @property
    def budget(self) -> int:
        """Trials of the whole exploration."""
        ...

    def next(self, trials: Sequence[Trial]) -> CellChoice | None:
        """The cell to score after `trials`, in their order; None where the exploration is over."""
        ...


def best(trials: Sequence[Trial]) -> Trial:
    """The trial of the highest score, the first among equals."""
    return max(trials, key=lambda trial: trial.score)
