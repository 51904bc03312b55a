"""Gates drawn from a Dirichlet distribution on each edge (DrNAS, Chen et al. 2021, arXiv 2006.10355)."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from metanas.params import Params
from metanas.relax.relaxation import Temperature

LEFT_OUT = -500.0
"""Below it a logit is none that was learned: a space gives its own to options that an edge does not have."""

LEAST = 1e-3
"""Smallest concentration: towards 0 samples become corners, and their logarithms infinite."""


@dataclass(frozen=True)
class Dirichlet:
    """gates ~ Dirichlet(elu(arch) + 1) on each edge, with pathwise gradients; implements `Relaxation`.

    At logits of zero all concentrations are 1 and the gates uniform on the simplex. The noise of `draw` is the sample
    itself: it belongs to the logits that it was drawn for, and differentiated there it gives the pathwise gradient
    (Jankowiak & Obermeyer 2018, arXiv 1806.01851). Without noise the gates are the mean. Options that are left
    out of an edge (see `is_there`) have no mass at all.
    """

    sparse: bool = False

    def __call__(self, arch: Params, temperature: Temperature, noise: Params) -> Params:
        """See `Relaxation`; there is no temperature."""
        del temperature
        gates = {}
        for name, logits in arch.items():
            c, there = concentration(logits), is_there(logits)
            if noise:
                gates[name] = _Pathwise.apply(c, noise[name], there)  # type: ignore[no-untyped-call]
            else:
                gates[name] = _shares(c * there)
        return gates

    def draw(self, arch: Params, rng: torch.Generator) -> Params:
        """A sample of the gates, drawn on the CPU."""
        drawn = {}
        for name, logits in arch.items():
            c = concentration(logits.detach()).double().cpu()
            drawn[name] = _shares(torch._sample_dirichlet(c, generator=rng) * is_there(logits).cpu()).to(logits)
        return drawn


def concentration(logits: Tensor) -> Tensor:
    """The Dirichlet's parameters, elu(logits) + 1, above zero."""
    return (F.elu(logits) + 1).clamp(min=LEAST)


def is_there(logits: Tensor) -> Tensor:
    """Which options an edge has: those with a logit that could have been learned."""
    return logits.detach() > LEFT_OUT


def _shares(mass: Tensor) -> Tensor:
    """`mass` as shares of its edge. What is left of a Dirichlet sample is a sample of what is left."""
    return mass / mass.sum(-1, keepdim=True)


class _Pathwise(torch.autograd.Function):
    """A sample as a function of its concentrations: the sample forward, the pathwise derivative backward."""

    @staticmethod
    def forward(ctx: Any, c: Tensor, sample: Tensor, there: Tensor) -> Tensor:
        ctx.save_for_backward(c, sample, there)
        return sample.clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        c, sample, there = ctx.saved_tensors
        slope = torch._dirichlet_grad(sample, c, (c * there).sum(-1, keepdim=True).expand_as(c))
        slope = slope.where(there, 0)
        return slope * (grad - (sample * grad).sum(-1, keepdim=True)), None, None
