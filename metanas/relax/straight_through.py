"""Straight-through gates: forward the decoded architecture itself, backward as if it were a softmax.

The forward pass computes one operation on each kept edge, an eighth of a mixed supernet, and what is trained is what
will be decoded, so decoding loses nothing. With noise the decode is a sample (GDAS, Dong & Yang 2019, arXiv 1910.04465,
equations 5 and 6); without it, the architecture that the logits prefer.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from metanas.params import Params
from metanas.relax.relaxation import Temperature, gumbel


@dataclass(frozen=True)
class StraightThrough:
    """gates = h * (1 + (p - stop_gradient(p))), h = harden(arch + temperature * noise), p = softmax(arch).

    Implements `Relaxation`.

    Deviations from GDAS: the decode is the space's own (two edges a node, one operation an edge), not an argmax on each
    edge; the temperature scales the noise and not p, so at temperature 0 the gates are the noiseless decode and the
    gradient stays bounded. As in GDAS only the taken options send a gradient to the logits, so leaving the others out
    of the computation changes nothing.
    """

    harden: Callable[[Params], Params]
    """Logits `[*tasks, edges, ops]` -> one-hot gates of the architecture that they prefer, in the same shapes."""
    sparse: bool = True

    def __call__(self, arch: Params, temperature: Temperature, noise: Params) -> Params:
        """See `Relaxation`; the temperature t scales the Gumbel noise: gates are drawn from softmax(arch / t)."""
        shifted = arch
        if noise:
            shifted = {name: logits + temperature * noise[name] for name, logits in arch.items()}
        hard = self.harden(shifted)
        gates = {}
        for name, logits in arch.items():
            p = torch.softmax(logits, dim=-1)
            gates[name] = hard[name].to(p) * (1 + (p - p.detach()))
        return gates

    def draw(self, arch: Params, rng: torch.Generator) -> Params:
        """Standard Gumbel noise; see `Relaxation`."""
        return gumbel(arch, rng)
