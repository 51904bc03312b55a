"""Optimisers as pure functions over `MetaParams`: state in, state out, so a checkpoint is plain data.

Weights and architecture logits are two groups with constants of their own.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from metanas.errors import ConfigError
from metanas.params import MetaParams, leaves, like, tree_map, tree_norm


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
        if self.clip:
            factor = (self.clip / tree_norm(gradient).clamp(min=self.clip)).item()
            gradient = tree_map(lambda g: g * factor, gradient)
        step = state.step + 1
        n = len(params.weights)
        moved, first, second = [], [], []
        for i, (p, g, m, v) in enumerate(
            zip(leaves(params), leaves(gradient), leaves(state.first), leaves(state.second), strict=True)
        ):
            weights = i < n
            lr, beta1, decay = (
                (self.lr_weights, self.beta1_weights, self.decay_weights)
                if weights
                else (self.lr_arch, self.beta1_arch, self.decay_arch)
            )
            g = g + decay * p if decay else g
            m = beta1 * m + (1 - beta1) * g
            v = self.beta2 * v + (1 - self.beta2) * g * g
            moved.append(p - scale * lr * self._direction(m, v, beta1, step))
            first.append(m)
            second.append(v)
        return like(params, moved), AdamState(step, like(params, first), like(params, second))

    def _direction(self, m: Tensor, v: Tensor, beta1: float, step: int) -> Tensor:
        return (m / (1 - beta1**step)) / ((v / (1 - self.beta2**step)).sqrt() + self.eps)
