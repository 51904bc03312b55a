"""The inner loop: a few gradient steps on weights and architecture logits together.

One loop serves all: MAML's inner loop, T-NAS's joint update, fine-tuning of a decoded child (whose `arch` is empty),
and second-order DARTS (one step, differentiated with respect to `arch`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from metanas.errors import ConfigError
from metanas.meta import higher_descent
from metanas.meta.proximal import Proximal
from metanas.meta.rates import RateKind, factor, initial_rates
from metanas.objective import LossFn
from metanas.params import MetaParams, Params, is_head, leaves, like
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
    rates: RateKind = "fixed"
    """Whether step sizes are meta-learned, as factors on `lr_weights` and `lr_arch` that start at 1: not at all, one
    for each tensor (layer), one for each tensor and step (layer_step, MAML++), one for each number (element, Meta-SGD).
    See `metanas.meta.rates`."""
    proximal_weights: float = 0.0
    """Pull of the weights towards the start, lambda in lambda / 2 |w - start|^2; 0 has none. For implicit gradients."""
    proximal_arch: float = 0.0
    """The same for the logits."""
    kl_arch: float = 0.0
    """Weight of the divergence KL(q, p) of a task's distributions over operations from the start's, for
    meta.gradient=variational: 1 is Bayes' rule for the images of the task, more is more cautious. 0 has none."""
    engine: Literal["plain", "higher"] = "plain"
    """Who takes the steps: we, or the package higher; the numbers are the same, ours are faster."""

    def __post_init__(self) -> None:
        for name in ("steps", "lr_weights", "lr_arch", "proximal_weights", "proximal_arch", "kl_arch"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"inner.{name} must be 0 or more, got {getattr(self, name)}")

    def sizes(self, params: MetaParams) -> list[float]:
        """The step size of every entry before anything is learned, in the order of `leaves`; 0 for what rests."""
        weights = [0.0 if self._rests(name) else self.lr_weights for name in params.weights]
        return weights + [self.lr_arch] * len(params.arch) + [0.0] * len(params.rates)

    def pulls(self, params: MetaParams) -> list[float]:
        """The pull of every entry towards the start, in the order of `leaves`."""
        groups = ((self.proximal_weights, params.weights), (self.proximal_arch, params.arch), (0.0, params.rates))
        return [pull for pull, group in groups for _ in group]

    def towards(self, start: MetaParams, loss: LossFn) -> Proximal:
        """`loss` with all pulls towards `start`."""
        return Proximal(loss, start, self.pulls(start), self.kl_arch)

    def initial_rates(self, params: MetaParams) -> Params:
        """The learned rates to begin meta-training with, of every entry of `params` that moves."""
        names = [*params.weights, *params.arch, *params.rates]
        moving = [name for name, size in zip(names, self.sizes(params), strict=True) if size]
        return initial_rates(self.rates, params, moving, self.steps)

    def _rests(self, name: str) -> bool:
        return self.moves != "all" and is_head(name) != (self.moves == "head")


def adapt(loss: LossFn, start: MetaParams, batch: Batch, inner: Inner) -> MetaParams:
    """Plain gradient descent from `start`: T-NAS's joint inner update (ICLR 2020, equation 8).

    The result stays connected to `start` in the autograd graph: exactly with `first_order=False`, with identity
    Jacobian with `first_order=True`; to learned rates in both. Entries that the loss does not depend on stay as they
    are, and so do the rates.

    Args:
        loss: of one task, or of several that are independent: each is then adapted to by itself.
        start: where to begin; its entries must require gradients.
        batch: the support set, with the leading axis of `start`.
        inner: steps and step sizes.

    Returns:
        The parameters after the last step.
    """
    sizes = inner.sizes(start)
    if inner.kl_arch or any(inner.pulls(start)):
        loss = inner.towards(start, loss)
    params, step = start, DESCENTS[inner.engine]
    for m in range(inner.steps if any(sizes) else 0):
        seen = _moving(params, sizes) if inner.first_order else params
        params = step(loss(seen, batch).sum(), params, _learned(sizes, start, m), exact=not inner.first_order)
    return params


def descend(value: Tensor, params: MetaParams, sizes: Sequence[float | Tensor], *, exact: bool) -> MetaParams:
    """One step of plain gradient descent.

    Args:
        value: the loss at `params`, summed over tasks.
        params: where the step begins.
        sizes: step size of every entry in the order of `leaves`; 0 keeps an entry as it is.
        exact: whether the step can be differentiated twice; otherwise its gradient counts as a constant.
    """
    wanted = [isinstance(size, Tensor) or size != 0 for size in sizes]
    gradient = grad(value, params, wanted, create_graph=exact)
    moved = [p if g is None else p - size * g for p, g, size in zip(leaves(params), gradient, sizes, strict=True)]
    return like(params, moved)


DESCENTS: dict[str, Callable[..., MetaParams]] = {"plain": descend, "higher": higher_descent.descend}
"""Step functions by the name of `inner.engine`, all called as `descend`."""


def _moving(params: MetaParams, sizes: list[float]) -> MetaParams:
    """`params` with what rests as constants, which at first order changes nothing: layers skip their gradients."""
    return like(params, [p if size else p.detach() for p, size in zip(leaves(params), sizes, strict=True)])


def _learned(sizes: list[float], start: MetaParams, step: int) -> list[float | Tensor]:
    """`sizes` times their learned factors."""
    if not start.rates:
        return list(sizes)
    names = [*start.weights, *start.arch, *start.rates]  # a rate has no rate: its size is 0
    return [
        size * factor(start.rates[name], step) if size and name in start.rates else size
        for name, size in zip(names, sizes, strict=True)
    ]


def filled(gradient: Sequence[Tensor | None], params: MetaParams) -> list[Tensor]:
    """`gradient` with zeros in place of None."""
    return [torch.zeros_like(p) if g is None else g for p, g in zip(leaves(params), gradient, strict=True)]


def grad(
    value: Tensor, params: MetaParams, wanted: Sequence[bool] | None = None, *, create_graph: bool = False
) -> list[Tensor | None]:
    """d value / d params in the order of `leaves`; None where `value` does not depend on an entry.

    Entries that are not `wanted` are left out of the backward pass and get None; without it all are wanted.
    """
    tensors = leaves(params)
    if not value.requires_grad and any(t.requires_grad for t in tensors):  # it depends on none of them
        return [None] * len(tensors)
    chosen = [i for i in range(len(tensors)) if wanted is None or wanted[i]]
    found = torch.autograd.grad(value, [tensors[i] for i in chosen], create_graph=create_graph, allow_unused=True)
    gradient: list[Tensor | None] = [None] * len(tensors)
    for i, g in zip(chosen, found, strict=True):
        gradient[i] = g
    return gradient
