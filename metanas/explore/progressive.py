"""Progressive search: small cells first, then the most promising of their extensions (Liu et al. 2018, PNAS).

Algorithm 1 of arXiv 1712.00559. With meta-trained children as estimator it is Auto-Meta (Kim et al. 2018, arXiv
1806.06927). Deviations from both: the surrogate is a ridge regression (see `surrogate`), and the first size may be
sampled instead of scored in full.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch

from metanas.explore.explorer import Trial
from metanas.explore.growth import CellChoice, Growth
from metanas.explore.surrogate import Surrogate
from tasks.stream import stream


@dataclass(frozen=True)
class Progressive:
    """Scores cells of the first size, then of every further size the `beam` best by the surrogate.

    Candidates of a size are all extensions of the `beam` best trials of the size before. Implements `Explorer`.
    """

    growth: Growth
    seed: int
    first: int
    """Cells of the first size to score, drawn without replacement; all where there are fewer."""
    beam: int
    ridge: float = 1.0
    """See `Surrogate`."""
    _plans: dict[tuple[Trial, ...], list[CellChoice]] = field(default_factory=dict, repr=False, compare=False)
    """What was computed before, by the trials it was computed of."""

    @property
    def budget(self) -> int:
        """See `Explorer`."""
        total = width = len(self._begin)
        for size in range(1, self.growth.sizes):
            extensions = len(self.growth.grown((0,) * len(self.growth.decisions(size - 1))))
            width = min(self.beam, min(self.beam, width) * extensions)
            total += width
        return total

    def next(self, trials: Sequence[Trial]) -> CellChoice | None:
        """See `Explorer`."""
        plan, begin = self._begin, 0
        for size in range(self.growth.sizes):
            if len(trials) < begin + len(plan):
                return plan[len(trials) - begin]
            begin += len(plan)
            if size + 1 < self.growth.sizes:
                past = tuple(trials[:begin])
                if past not in self._plans:
                    self._plans[past] = self._extensions(past, size)
                plan = self._plans[past]
        return None

    def _extensions(self, trials: Sequence[Trial], size: int) -> list[CellChoice]:
        """The cells of the next size to score, a function of all trials up to this one."""
        here = [trial for trial in trials if self.growth.size(trial.cell) == size]
        beam = sorted(here, key=lambda trial: -trial.score)[: self.beam]  # stable: the first among equals
        cells = [grown for trial in beam for grown in self.growth.grown(trial.cell)]
        predicted = Surrogate(self.growth, trials, self.ridge)(cells)
        # what the surrogate cannot tell apart comes in random order
        shuffled = torch.randperm(len(cells), generator=stream(self.seed, "ties", size))
        order = shuffled[predicted[shuffled].round(decimals=9).sort(descending=True, stable=True).indices]
        return [cells[i] for i in order[: self.beam].tolist()]

    @cached_property
    def _begin(self) -> list[CellChoice]:
        cells = self.growth.smallest()
        order = torch.randperm(len(cells), generator=stream(self.seed, "first cells"))
        return [cells[i] for i in order[: self.first].tolist()]
