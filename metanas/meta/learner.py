"""The outer loop's state and step: gradient descent on the start that all tasks share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch

from metanas.errors import NonFiniteError
from metanas.meta.batch import merge
from metanas.meta.gradient import MetaGradient, Verdict
from metanas.optim import AdamState, Outer
from metanas.params import MetaParams, Metrics, tree_map, tree_norm


class DescentState(NamedTuple):
    """Everything that an outer loop carries from step to step; a checkpoint is this tuple."""

    params: MetaParams
    """The meta-learned start."""
    optimiser: AdamState


@runtime_checkable
class MetaLearner(Protocol):
    """Learns where a new task should begin."""

    @property
    def gradient(self) -> MetaGradient:
        """How tasks are asked what they say about the start."""
        ...

    def init(self, start: MetaParams) -> DescentState:
        """The state before the first step."""
        ...

    def step(
        self, state: DescentState, verdicts: Sequence[Verdict], scale: float, *, rest_arch: bool = False
    ) -> tuple[DescentState, Metrics]:
        """One outer step; raises `NonFiniteError`.

        Args:
            state: before the step.
            verdicts: of the parts of a meta-batch on `state.params`, by `gradient`.
            scale: multiplies the step sizes.
            rest_arch: keep the logits as they are.
        """
        ...


@dataclass(frozen=True)
class Descent:
    """Gradient descent on the mean meta-gradient of a meta-batch; implements `MetaLearner`."""

    gradient: MetaGradient
    optimiser: Outer

    def init(self, start: MetaParams) -> DescentState:
        """See `MetaLearner`."""
        return DescentState(start, self.optimiser.init(_descending(start)))

    def step(
        self, state: DescentState, verdicts: Sequence[Verdict], scale: float, *, rest_arch: bool = False
    ) -> tuple[DescentState, Metrics]:
        """See `MetaLearner`."""
        total, query_loss = merge(verdicts)
        losses = query_loss.tolist()
        gradient = tree_map(lambda g: g / len(losses), total)
        norm, whole = tree_norm(_descending(gradient)).item(), tree_norm(gradient).item()
        if not (math.isfinite(whole) and all(map(math.isfinite, losses))):
            what = "query loss" if not all(map(math.isfinite, losses)) else f"meta-gradient (its norm is {whole})"
            raise NonFiniteError(
                f"the {what} is not finite; lower inner.lr_weights, inner.lr_arch or outer.lr_weights",
                _at_fault(verdicts),
            )
        params, optimiser = self.optimiser.update(
            _descending(gradient), state.optimiser, _descending(state.params), scale, rest_arch=rest_arch
        )
        squares = {name: before - gradient.squares[name] for name, before in state.params.squares.items()}
        metrics = {"meta/outer_loss": sum(losses) / len(losses), "meta/grad_norm": norm}
        return DescentState(params._replace(squares=squares), optimiser), metrics


def _descending(tree: MetaParams) -> MetaParams:
    """`tree` without what is carried on rather than descended on."""
    return tree._replace(squares={})


def _at_fault(verdicts: Sequence[Verdict]) -> tuple[int, ...]:
    """Tasks of a loss that is not finite; without any, those that share a gradient that is not."""
    losses = torch.cat([verdict.query_loss for verdict in verdicts])
    found = (~losses.isfinite()).nonzero().flatten().tolist()
    if found:
        return tuple(found)
    first = 0
    for gradient, query_loss in verdicts:
        last = first + len(query_loss)
        if not tree_norm(gradient).isfinite():
            return tuple(range(first, last))
        first = last
    return tuple(range(len(losses)))  # each part is finite, and their sum is too large
