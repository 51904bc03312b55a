"""Optimisers as pure functions over `MetaParams`: state in, state out, so a checkpoint is plain data.

Weights, architecture logits and learned rates are groups with constants of their own.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from metanas.errors import ConfigError
from metanas.params import MetaParams, Params, like, tree_map, tree_norm

Number = float | Tensor
"""A tensor `[]` where a step is recorded once for all values (`metanas.recorder`)."""


class AdamState(NamedTuple):
    """Moments of Adam."""

    step: int
    """Updates so far."""
    first: MetaParams
    """Moving mean of the gradient."""
    second: MetaParams
    """Moving mean of the squared gradient."""
    rested: int = 0
    """Updates in which the logits rested; their moments have seen that many fewer."""


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015, arXiv 1412.6980, algorithm 1) with T-NAS's outer constants, but for a larger step size.

    Weight decay is the classical one, added to the gradient, as in T-NAS's and DARTS's architecture step; each group
    has its own, and learned rates, whose neutral value is no better than another, have none.
    """

    lr_weights: float = 1e-2
    """Step size of the weights; T-NAS uses 1e-3 for ten times as many tasks."""
    lr_arch: float = 1e-2
    """Step size of the logits; 0 freezes the architecture prior."""
    lr_rates: float = 1e-2
    """Step size of learned rates, a share of themselves: see `inner.rates`."""
    beta1_weights: float = 0.9
    beta1_arch: float = 0.5
    beta2: float = 0.999
    decay_weights: float = 0.0
    decay_arch: float = 1e-3
    """Pulls the logits towards indifference, as in T-NAS and DARTS; 0 leaves decay to the weights."""
    eps: float = 1e-8
    clip: float = 10.0
    """Largest norm of the gradient over all groups; longer ones are shortened. 0 never clips."""

    def __post_init__(self) -> None:
        for name in ("lr_weights", "lr_arch", "lr_rates", "decay_weights", "decay_arch", "clip"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"outer.{name} must be 0 or more, got {getattr(self, name)}")
        for name in ("beta1_weights", "beta1_arch", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"outer.{name} must be in [0, 1), got {getattr(self, name)}")
        if not self.eps > 0:
            raise ConfigError(f"outer.eps must be above 0, got {self.eps}")

    def init(self, params: MetaParams) -> AdamState:
        """The state before the first update."""
        return AdamState(0, tree_map(torch.zeros_like, params), tree_map(torch.zeros_like, params))

    def update(
        self,
        gradient: MetaParams,
        state: AdamState,
        params: MetaParams,
        scale: float = 1.0,
        *,
        rest_arch: bool = False,
    ) -> tuple[MetaParams, AdamState]:
        """One step; returns new parameters and state.

        Args:
            gradient: with respect to `params`.
            state: before the step.
            params: before the step.
            scale: multiplies all step sizes (a schedule).
            rest_arch: leave the logits and their moments as they are, weight decay included. Their first step after a
                rest is corrected for bias as a first step, or moments that begin at zero would make it many times too
                long.
        """
        if rest_arch:
            gradient = gradient._replace(arch={k: torch.zeros_like(g) for k, g in gradient.arch.items()})
        factor = (self.clip / tree_norm(gradient).clamp(min=self.clip)).item() if self.clip else 1.0
        step, rested = state.step + 1, state.rested + rest_arch
        updated: list[list[Tensor]] = [[], [], []]
        groups = {
            "weights": (step, self.lr_weights, self.beta1_weights, self.decay_weights),
            "arch": (step - rested, self.lr_arch, self.beta1_arch, self.decay_arch),
            "rates": (step, self.lr_rates, self.beta1_weights, 0.0),
        }
        for part, (t, lr, beta1, decay) in groups.items():  # each as one long vector: one call for all
            trees = (params, gradient, state.first, state.second)
            p, g, m, v = (_flat(getattr(tree, part)) for tree in trees)
            if rest_arch and part == "arch":
                for tensors, vector in zip(updated, (p, m, v), strict=True):
                    tensors.extend(_split(vector, params.arch))
                continue
            direction, m, v = self._direction(part, factor * g + decay * p, m, v, t, beta1)
            for tensors, vector in zip(updated, (p - scale * lr * direction, m, v), strict=True):
                tensors.extend(_split(vector, getattr(params, part)))
        moved, first, second = (like(params, tensors) for tensors in updated)
        return moved, AdamState(step, first, second, rested)

    def _direction(
        self, part: str, g: Tensor, m: Tensor, v: Tensor, t: int, beta1: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the group `part` moves along, against the sign, in its update number `t`, and its new moments."""
        del part
        m = beta1 * m + (1 - beta1) * g
        v = self.beta2 * v + (1 - self.beta2) * g * g
        return (m / (1 - beta1**t)) / ((v / (1 - self.beta2**t)).sqrt() + self.eps), m, v


@dataclass(frozen=True)
class Outer(Adam):
    """The outer loop's optimiser: Adam for learned rates, and for the weights and the logits Adam or momentum.

    Momentum is Nesterov's in torch's form (Sutskever et al. 2013), with `beta1_weights` or `beta1_arch` as its
    constant, 0 for none: buffer = momentum * buffer + gradient, and parameters move along gradient + momentum *
    buffer. The buffer takes the place of Adam's first moment; its second stays zero.
    """

    optimiser: Literal["adam", "sgd"] = "adam"
    """Of the weights. `sgd` has momentum, and wants longer steps: in front of a norm only their ratio to the squared
    length of the weights counts, and that of `initial_weights` is six times that of torch's layers, so that 0.6 here
    is the 0.1 of published recipes."""
    optimiser_arch: Literal["adam", "sgd"] = "adam"
    """Of the logits; MetaNAS takes `sgd` for both, without momentum."""

    def _direction(
        self, part: str, g: Tensor, m: Tensor, v: Tensor, t: int, beta1: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        kinds = {"weights": self.optimiser, "arch": self.optimiser_arch}
        if kinds.get(part, "adam") == "adam":
            return super()._direction(part, g, m, v, t, beta1)
        m = beta1 * m + g
        return g + beta1 * m, m, v


def _flat(tensors: Params) -> Tensor:
    return torch.cat([t.reshape(-1) for t in tensors.values()]) if tensors else torch.zeros(0)


def _split(vector: Tensor, shapes: Params) -> list[Tensor]:
    """The inverse of `_flat`; each tensor has memory of its own, as files of tensors want it."""
    pieces = torch.split(vector, [t.numel() for t in shapes.values()]) if shapes else ()
    return [piece.view(t.shape).clone() for piece, t in zip(pieces, shapes.values(), strict=True)]


@dataclass(frozen=True)
class Sgd:
    """Stochastic gradient descent with momentum (Sutskever et al. 2013) with DARTS's constants for weights.

    buffer = momentum * buffer + gradient + decay * w, then w moves by -lr * buffer: torch's form, in which the step
    size is no part of the buffer.
    """

    momentum: float = 0.9
    decay: float = 3e-4
    """Weight decay, added to the gradient after clipping."""
    clip: float = 5.0
    """Largest norm of the gradient; longer ones are shortened. 0 never clips."""

    def init(self, weights: Params) -> Params:
        """The buffer before the first update."""
        return {name: torch.zeros_like(w) for name, w in weights.items()}

    def update(self, gradient: Params, buffer: Params, weights: Params, lr: Number) -> tuple[Params, Params]:
        """One step of size `lr`. Returns new weights and buffer."""
        g, b, w = (_flat(tree) for tree in (gradient, buffer, weights))
        if self.clip:
            g = g * (self.clip / torch.linalg.vector_norm(g).clamp(min=self.clip))
        b = self.momentum * b + g + self.decay * w
        moved, kept = (_split(vector, weights) for vector in (w - lr * b, b))
        return dict(zip(weights, moved, strict=True)), dict(zip(weights, kept, strict=True))
