"""Gates that ignore the logits: given architectures inside the supernet."""

from dataclasses import dataclass

import torch

from metanas.params import Params
from metanas.relax.relaxation import Temperature


@dataclass(frozen=True)
class Fixed:
    """Always `gates`; implements `Relaxation`. With one-hot gates the supernet is the child."""

    gates: Params
    """`[*tasks, edges, ops]` by cell kind."""
    sparse: bool = True

    def __call__(self, arch: Params, temperature: Temperature, noise: Params) -> Params:
        """The gates; all arguments are ignored."""
        del arch, temperature, noise
        return self.gates

    def draw(self, arch: Params, rng: torch.Generator) -> Params:
        """Nothing is random."""
        del arch, rng
        return {}
