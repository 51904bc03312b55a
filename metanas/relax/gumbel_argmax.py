"""One sampled operation on every edge (GDAS, Dong & Yang 2019, arXiv 1910.04465, equations 5 to 7)."""

from dataclasses import dataclass

import torch

from metanas.params import Params
from metanas.relax.relaxation import Temperature, check_positive, gumbel


@dataclass(frozen=True)
class GumbelArgmax:
    """gates = h * (1 + (p - stop_gradient(p))), p = softmax((log softmax(arch) + noise) / temperature), h = argmax p.

    Implements `Relaxation`. As in the paper, every edge takes one operation, and only that one sends a gradient to the
    logits, so the others need not be computed. Without noise the gates take the operation that each edge prefers.
    """

    sparse: bool = True

    def __call__(self, arch: Params, temperature: Temperature, noise: Params) -> Params:
        """See `Relaxation`; the temperature scales the softmax that the gradient comes from, not the sample."""
        check_positive(temperature, "sampling")
        gates = {}
        for name, logits in arch.items():
            shifted = torch.log_softmax(logits, -1) + noise[name] if noise else logits
            p = torch.softmax(shifted / temperature, -1)
            # of the logits, whose order no rounding of a small temperature can change
            taken = torch.zeros_like(p).scatter(-1, shifted.detach().argmax(-1, keepdim=True), 1.0)
            gates[name] = taken * (1 + (p - p.detach()))
        return gates

    def draw(self, arch: Params, rng: torch.Generator) -> Params:
        """Standard Gumbel noise; see `Relaxation`."""
        return gumbel(arch, rng)
