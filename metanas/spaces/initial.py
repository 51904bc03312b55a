"""Fresh weights for a skeleton."""

import math

import torch
from torch import nn

from metanas.params import Params


def initial_weights(net: nn.Module, rng: torch.Generator) -> Params:
    """Weights for every parameter of `net`, drawn from `rng` on the CPU.

    Convolutions are normal with variance 2 / fan_in (He et al. 2015, arXiv 1502.01852, equation 10), scales one, shifts
    and biases zero. The classifier is zero too: labels mean nothing before a task, so no class should be preferred.
    """
    return {name: _initial(name, tuple(p.shape), rng) for name, p in net.named_parameters()}


def _initial(name: str, shape: tuple[int, ...], rng: torch.Generator) -> torch.Tensor:
    if len(shape) < 4:
        return torch.ones(shape) if name.endswith("scale") else torch.zeros(shape)
    fan_in = math.prod(shape[1:])
    return torch.randn(shape, generator=rng) * math.sqrt(2 / fan_in)
