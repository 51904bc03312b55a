"""The inner loop: a few gradient steps on weights and architecture logits together.

One loop serves all: MAML's inner loop, T-NAS's joint update, fine-tuning of a decoded child (whose `arch` is empty),
and second-order DARTS (one step, differentiated with respect to `arch`).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from metanas.errors import ConfigError
from metanas.meta import higher_descent
from metanas.meta.adaptive_descent import AdaptiveDescent, initial_squares
from metanas.meta.gradient_of import grad
from metanas.meta.proximal import Proximal
from metanas.meta.rates import RateKind, factor, initial_rates
from metanas.objective import LossFn, staged
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
    engine: Literal["auto", "plain", "graph", "higher"] = "auto"
    """Who takes the steps: we, on a GPU recorded once and replayed (graph, see `metanas.recorder`) or not (plain), or
    the package higher. `auto` records on a GPU. The numbers are the same but for rounding."""
    optimiser: Literal["sgd", "adam", "carried_adam"] = "sgd"
    """Plain gradient descent, or Adam without momentum (`metanas.meta.adaptive_descent`), which cannot be
    differentiated through: for reptile and first-order gradients. Its squared gradients begin anew with every task
    (adam), or, with reptile, with those that the tasks of meta-training have left, as in MetaNAS (carried_adam)."""
    alternate: bool = False
    """Move the logits first in every step, then the weights at the new logits, as DARTS and MetaNAS do, each by a pass
    of its own; otherwise both at once, at half the price. Both passes see the same images, where MetaNAS draws two
    batches."""
    arch_steps: int | None = None
    """Of `steps`, how many, the first ones, move the logits; without it all. An annealed temperature (`relax.anneal`)
    is at its end by then. MetaNAS adapts to a new task by 50 of 100."""

    def __post_init__(self) -> None:
        for name in ("steps", "lr_weights", "lr_arch", "proximal_weights", "proximal_arch", "kl_arch"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"inner.{name} must be 0 or more, got {getattr(self, name)}")
        if self.arch_steps is not None and self.arch_steps < 0:
            raise ConfigError(f"inner.arch_steps must be null or 0 or more, got {self.arch_steps}")
        if self.optimiser != "sgd" and self.engine == "higher":
            raise ConfigError(
                f"inner.engine=higher takes plain steps only, got inner.optimiser={self.optimiser}; use engine=plain"
            )

    def check_implicit(self) -> None:
        """Raises `ConfigError` where the loop has no end that implicit gradients could know."""
        for group in ("weights", "arch"):
            if getattr(self, f"lr_{group}") and not getattr(self, f"proximal_{group}"):
                raise ConfigError(
                    f"meta.gradient=imaml needs inner.proximal_{group} above 0 where inner.lr_{group} is, got 0; "
                    "the paper takes 0.5 to 2"
                )
        if self.kl_arch:
            raise ConfigError(
                f"meta.gradient=imaml is implicit in squared distances alone: expected inner.kl_arch=0, got "
                f"{self.kl_arch}; take inner.proximal_arch, or meta.gradient=variational"
            )

    def sizes(self, params: MetaParams) -> list[float]:
        """The step size of every entry before anything is learned, in the order of `leaves`; 0 for what rests."""
        weights = [0.0 if self._rests(name) else self.lr_weights for name in params.weights]
        return weights + [self.lr_arch] * len(params.arch) + [0.0] * (len(params.rates) + len(params.squares))

    def phases(self, params: MetaParams, step: int) -> list[list[float]]:
        """The step sizes of the passes that make up step number `step`, each as of `sizes`; a pass moves something."""
        sizes, first = self.sizes(params), len(params.weights)
        weights = [size if i < first else 0.0 for i, size in enumerate(sizes)]
        if self.arch_steps is not None and step >= self.arch_steps:
            passes = [weights]
        elif self.alternate:
            passes = [[0.0 if i < first else size for i, size in enumerate(sizes)], weights]
        else:
            passes = [sizes]
        return [sizes for sizes in passes if any(sizes)]

    @property
    def annealing_steps(self) -> int:
        """The steps in which logits move."""
        return self.steps if self.arch_steps is None else min(self.steps, self.arch_steps)

    def pulls(self, params: MetaParams) -> list[float]:
        """The pull of every entry towards the start, in the order of `leaves`."""
        pulls = (self.proximal_weights, self.proximal_arch, 0.0, 0.0)
        return [pull for pull, group in zip(pulls, params, strict=True) for _ in group]

    def towards(self, start: MetaParams, loss: LossFn) -> Proximal:
        """`loss` with all pulls towards `start`."""
        return Proximal(loss, start, self.pulls(start), self.kl_arch)

    def equipped(self, params: MetaParams) -> MetaParams:
        """`params` with what meta-training begins with besides: learned rates and carried squares of what moves."""
        bare = MetaParams(params.weights, params.arch)
        moving = [name for name, size in zip([*bare.weights, *bare.arch], self.sizes(bare), strict=True) if size]
        squares = initial_squares(bare, moving) if self.optimiser == "carried_adam" else {}
        return bare._replace(rates=initial_rates(self.rates, bare, moving, self.steps), squares=squares)

    def _rests(self, name: str) -> bool:
        return self.moves != "all" and is_head(name) != (self.moves == "head")


def adapt(loss: LossFn, start: MetaParams, batch: Batch, inner: Inner) -> MetaParams:
    """Gradient descent from `start`: T-NAS's joint inner update (ICLR 2020, equation 8), unless `inner` says otherwise.

    The result stays connected to `start` in the autograd graph: exactly with `first_order=False`, with identity
    Jacobian with `first_order=True`; to learned rates in both. Entries that the loss does not depend on stay as they
    are, and so do the rates.

    Args:
        loss: of one task, or of several that are independent: each is then adapted to by itself. A loss that changes
            from step to step is `metanas.objective.Staged`.
        start: where to begin; its entries must require gradients.
        batch: the support set, with the leading axis of `start`.
        inner: steps and step sizes.

    Returns:
        The parameters after the last step.
    """
    params = start
    for params in path(loss, start, batch, inner):  # noqa: B007, the last one is wanted
        pass
    return params


def path(loss: LossFn, start: MetaParams, batch: Batch, inner: Inner) -> Iterator[MetaParams]:
    """The parameters after each step of `adapt`."""
    is_pulled = bool(inner.kl_arch or any(inner.pulls(start)))
    params = start
    step = (
        AdaptiveDescent(start.squares)
        if inner.optimiser != "sgd"
        else (higher_descent.descend if inner.engine == "higher" else descend)
    )
    for m in range(inner.steps):
        now = staged(loss, m, inner.annealing_steps)
        if is_pulled:
            now = inner.towards(start, now)
        for sizes in inner.phases(start, m):
            seen = _moving(params, sizes) if inner.first_order else params
            value = now(seen, batch).sum()
            params = step(value, params, _learned(sizes, start, m), exact=not inner.first_order)
        yield params


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


def _moving(params: MetaParams, sizes: list[float]) -> MetaParams:
    """`params` with what rests as constants, which at first order changes nothing: layers skip their gradients."""
    return like(params, [p if size else p.detach() for p, size in zip(leaves(params), sizes, strict=True)])


def _learned(sizes: list[float], start: MetaParams, step: int) -> list[float | Tensor]:
    """`sizes` times their learned factors."""
    if not start.rates:
        return list(sizes)
    names = [name for group in start for name in group]  # a rate has no rate: its size is 0
    return [
        size * factor(start.rates[name], step) if size and name in start.rates else size
        for name, size in zip(names, sizes, strict=True)
    ]
