"""The mixed operation of DARTS: every option at once, weighted by a softmax (arXiv 1806.09055, equation 2)."""

from dataclasses import dataclass

import torch

from metanas.params import Params
from metanas.relax.relaxation import Temperature, check_positive, gumbel


@dataclass(frozen=True)
class Softmax:
    """gates = softmax(arch / temperature) on each edge; implements `Relaxation`.

    With noise the gates are softmax((arch + noise) / temperature): SNAS (Xie et al. 2019, arXiv 1812.09926).
    """

    sample: bool = False
    """Add the noise, as SNAS does."""
    sparse: bool = False

    def __call__(self, arch: Params, temperature: Temperature, noise: Params) -> Params:
        """See `Relaxation`; a temperature of 1 is DARTS, one towards 0 approaches a decision."""
        check_positive(temperature, "a softmax")
        if self.sample and noise:
            arch = {name: logits + noise[name] for name, logits in arch.items()}
        return {name: torch.softmax(logits / temperature, dim=-1) for name, logits in arch.items()}

    def draw(self, arch: Params, rng: torch.Generator) -> Params:
        """Standard Gumbel noise where it is added; see `Relaxation`."""
        return gumbel(arch, rng) if self.sample else {}
