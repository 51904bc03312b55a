"""Random search: cells of the largest size, drawn uniformly; the control of every other explorer."""

from collections.abc import Sequence
from dataclasses import dataclass

from metanas.explore.explorer import Trial
from metanas.explore.growth import CellChoice, Growth
from tasks.stream import stream


@dataclass(frozen=True)
class RandomCells:
    """Independent draws, with replacement; implements `Explorer`."""

    growth: Growth
    seed: int
    budget: int

    def next(self, trials: Sequence[Trial]) -> CellChoice | None:
        """See `Explorer`; the scores are not looked at."""
        if len(trials) >= self.budget:
            return None
        return self.growth.random(self.growth.sizes - 1, stream(self.seed, "random cells", len(trials)))
