"""The inner loop: a few gradient steps on weights and architecture logits together.

One loop serves all: MAML's inner loop, T-NAS's joint update, fine-tuning of a decoded child (whose `arch` is empty),
and second-order DARTS (one step, differentiated with respect to `arch`).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from metanas.errors import ConfigError
from metanas.objective import LossFn
from metanas.params import MetaParams, leaves, like
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

    def __post_init__(self) -> None:
        for name in ("steps", "lr_weights", "lr_arch"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"inner.{name} must be 0 or more, got {getattr(self, name)}")


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
    params = start
    for _ in range(inner.steps):
        gradient = grad(loss(params, batch).sum(), params, create_graph=not inner.first_order)
        params = descend(params, gradient, inner)
    return params


def grad(value: Tensor, params: MetaParams, *, create_graph: bool = False) -> list[Tensor | None]:
    """d value / d params in the order of `leaves`; None where `value` does not depend on an entry."""
    return list(torch.autograd.grad(value, leaves(params), create_graph=create_graph, allow_unused=True))


def descend(params: MetaParams, gradient: list[Tensor | None], inner: Inner) -> MetaParams:
    """One gradient step with a step size for each group; a None gradient leaves its entry as it is."""
    rates = [inner.lr_weights] * len(params.weights) + [inner.lr_arch] * len(params.arch)
    moved = [
        p if g is None or rate == 0 else p - rate * g
        for p, g, rate in zip(leaves(params), gradient, rates, strict=True)
    ]
    return like(params, moved)
