"""Optimisers as pure functions over `MetaParams`: state in, state out, so a checkpoint is plain data.

Weights and architecture logits are two groups with constants of their own.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from metanas.errors import ConfigError
from metanas.params import MetaParams, Params, like, tree_map, tree_norm


class AdamState(NamedTuple):
    """Moments of Adam."""

    step: int
    """Updates so far."""
    first: MetaParams
    """Moving mean of the gradient."""
    second: MetaParams
    """Moving mean of the squared gradient."""


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015, arXiv 1412.6980, algorithm 1) with T-NAS's outer constants, but for a larger step size.

    Weight decay is the classical one, added to the gradient, as in T-NAS's and DARTS's architecture step.
    """

    lr_weights: float = 1e-2
    """Step size of the weights; T-NAS uses 1e-3 for ten times as many tasks."""
    lr_arch: float = 1e-2
    """Step size of the logits; 0 freezes the architecture prior."""
    beta1_weights: float = 0.9
    beta1_arch: float = 0.5
    beta2: float = 0.999
    decay_weights: float = 0.0
    decay_arch: float = 1e-3
    eps: float = 1e-8
    clip: float = 10.0
    """Largest norm of the gradient over both groups; longer ones are shortened. 0 never clips."""

    def __post_init__(self) -> None:
        for name in ("lr_weights", "lr_arch", "decay_weights", "decay_arch", "clip"):
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
        self, gradient: MetaParams, state: AdamState, params: MetaParams, scale: float = 1.0
    ) -> tuple[MetaParams, AdamState]:
        """One step; `scale` multiplies both step sizes (a schedule). Returns new parameters and state."""
        factor = (self.clip / tree_norm(gradient).clamp(min=self.clip)).item() if self.clip else 1.0
        step = state.step + 1
        updated: list[list[Tensor]] = [[], [], []]
        for part in MetaParams._fields:  # the weights, then the logits, each as one long vector: one call for all
            trees = (params, gradient, state.first, state.second)
            p, g, m, v = (_flat(getattr(tree, part)) for tree in trees)
            lr, beta1, decay = (getattr(self, f"{name}_{part}") for name in ("lr", "beta1", "decay"))
            g = factor * g + decay * p
            m = beta1 * m + (1 - beta1) * g
            v = self.beta2 * v + (1 - self.beta2) * g * g
            direction = (m / (1 - beta1**step)) / ((v / (1 - self.beta2**step)).sqrt() + self.eps)
            for tensors, vector in zip(updated, (p - scale * lr * direction, m, v), strict=True):
                tensors.extend(_split(vector, getattr(params, part)))
        moved, first, second = (like(params, tensors) for tensors in updated)
        return moved, AdamState(step, first, second)


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

    def update(self, gradient: Params, buffer: Params, weights: Params, lr: float) -> tuple[Params, Params]:
        """One step of size `lr`. Returns new weights and buffer."""
        g, b, w = (_flat(tree) for tree in (gradient, buffer, weights))
        if self.clip:
            g = g * (self.clip / torch.linalg.vector_norm(g).clamp(min=self.clip))
        b = self.momentum * b + g + self.decay * w
        moved, kept = (_split(vector, weights) for vector in (w - lr * b, b))
        return dict(zip(weights, moved, strict=True)), dict(zip(weights, kept, strict=True))
