"""The outer loop's state and step: gradient descent on the start that all tasks share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

from metanas.errors import NonFiniteError
from metanas.meta.batch import mean_gradient
from metanas.meta.gradient import MetaGradient
from metanas.objective import LossFn
from metanas.optim import Adam, AdamState
from metanas.params import MetaParams, Metrics, tree_norm
from tasks.episode import Episode


class DescentState(NamedTuple):
    """Everything that an outer loop carries from step to step; a checkpoint is this tuple."""

    params: MetaParams
    """The meta-learned start."""
    optimiser: AdamState


@runtime_checkable
class MetaLearner(Protocol):
    """Learns where a new task should begin."""

    def init(self, start: MetaParams) -> DescentState:
        """The state before the first step."""
        ...

    def step(
        self, state: DescentState, losses: Sequence[LossFn], episodes: Episode, scale: float
    ) -> tuple[DescentState, Metrics]:
        """One outer step on stacked episodes; raises `NonFiniteError`.

        Args:
            state: before the step.
            losses: equal losses, one for each thread.
            episodes: the meta-batch, stacked on a leading `tasks` axis.
            scale: multiplies the step sizes.
        """
        ...


@dataclass(frozen=True)
class Descent:
    """Adam on the mean meta-gradient of a meta-batch; implements `MetaLearner`."""

    gradient: MetaGradient
    optimiser: Adam
    chunk: int = 0
    """Tasks executed in one call; 0 means the whole meta-batch."""

    def init(self, start: MetaParams) -> DescentState:
        """See `MetaLearner`."""
        return DescentState(start, self.optimiser.init(start))

    def step(
        self, state: DescentState, losses: Sequence[LossFn], episodes: Episode, scale: float
    ) -> tuple[DescentState, Metrics]:
        """See `MetaLearner`."""
        verdict = mean_gradient(self.gradient, losses, state.params, episodes, chunk=self.chunk)
        losses = verdict.query_loss.tolist()
        norm = tree_norm(verdict.gradient).item()
        if not (math.isfinite(norm) and all(map(math.isfinite, losses))):
            bad = [task for task, value in enumerate(losses) if not math.isfinite(value)]
            raise NonFiniteError(
                f"the query loss or its gradient is not finite (tasks of this meta-batch with a bad loss: "
                f"{bad or 'none'}; gradient norm {norm}); lower inner.lr_weights, inner.lr_arch or outer.lr_weights"
            )
        params, optimiser = self.optimiser.update(verdict.gradient, state.optimiser, state.params, scale)
        metrics = {"meta/outer_loss": sum(losses) / len(losses), "meta/grad_norm": norm}
        return DescentState(params, optimiser), metrics
