"""The inner loop: a few gradient steps on weights and architecture logits together.

One loop serves all: MAML's inner loop, T-NAS's joint update, fine-tuning of a decoded child (whose `arch` is empty),
and second-order DARTS (one step, differentiated with respect to `arch`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from metanas.errors import ConfigError
from metanas.objective import LossFn
from metanas.params import MetaParams, is_head, leaves, like
from tasks.episode import Batch


@dataclass(frozen=True)
class Inner:
    """How a task is adapted to."""

    steps: int = 1
    """Gradient steps on the support set, 0 or more; T-NAS takes 5, and so does adaptation after meta-training."""
    lr_weights: float = 1.0
    """Step size of the weights; T-NAS uses 0.1, which is slower to learn from few tasks."""
    lr_arch: float = 1.0
    """Step size of the logits; T-NAS uses 30 with softmax gates, 0 freezes the architecture."""
    first_order: bool = False
    """Ignore second derivatives in the outer gradient (FOMAML). One exact step learns more from as many tasks
    than two or three steps at first order (docs/results.md)."""
    moves: Literal["all", "head", "body"] = "all"
    """Which weights the steps move: all (MAML), the classifier alone (ANIL, Raghu et al. 2020, arXiv 1909.09157), or
    all but the classifier (BOIL, Oh et al. 2021, arXiv 2008.08882)."""

    def __post_init__(self) -> None:
        for name in ("steps", "lr_weights", "lr_arch"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"inner.{name} must be 0 or more, got {getattr(self, name)}")

    def rates(self, params: MetaParams) -> list[float]:
        """The step size of every entry, in the order of `leaves`; 0 for what does not move."""
        weights = [0.0 if self._rests(name) else self.lr_weights for name in params.weights]
        return weights + [self.lr_arch] * len(params.arch)

    def _rests(self, name: str) -> bool:
        return self.moves != "all" and is_head(name) != (self.moves == "head")


def adapt(loss: LossFn, start: MetaParams, batch: Batch, inner: Inner) -> MetaParams:
    """Plain gradient descent from `start`: T-NAS's joint inner update (ICLR 2020, equation 8).

    The result stays connected to `start` in the autograd graph: exactly with `first_order=False`, with identity
    Jacobian with `first_order=True`. Entries that the loss does not depend on stay as they are.

    Args:
        loss: of one task, or of several that are independent: each is then adapted to by itself.
        start: where to begin; its entries must require gradients.
        batch: the support set, with the leading axis of `start`.
        inner: steps and step sizes.

    Returns:
        The parameters after the last step.
    """
    params, rates = start, inner.rates(start)
    for _ in range(inner.steps if any(rates) else 0):
        gradient = grad(loss(params, batch).sum(), params, rates, create_graph=not inner.first_order)
        moved = [p if g is None else p - rate * g for p, g, rate in zip(leaves(params), gradient, rates, strict=True)]
        params = like(params, moved)
    return params


def grad(
    value: Tensor, params: MetaParams, wanted: Sequence[float] | None = None, *, create_graph: bool = False
) -> list[Tensor | None]:
    """d value / d params in the order of `leaves`; None where `value` does not depend on an entry.

    Entries whose `wanted` is zero are left out of the backward pass and get None; without it all are wanted.
    """
    tensors = leaves(params)
    chosen = [i for i in range(len(tensors)) if wanted is None or wanted[i]]
    found = torch.autograd.grad(value, [tensors[i] for i in chosen], create_graph=create_graph, allow_unused=True)
    gradient: list[Tensor | None] = [None] * len(tensors)
    for i, g in zip(chosen, found, strict=True):
        gradient[i] = g
    return gradient
