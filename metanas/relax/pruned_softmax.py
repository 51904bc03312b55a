"""Soft pruning where every choice has logits of its own (Elsken et al. 2020, arXiv 1911.11090, section 3.3).

This is MetaNAS: operations compete on an edge, and so do pairs of inputs at a node (`metanas.spaces.input_pairs`). What
is left at a low temperature is a cell with two inputs a node and one operation an input: decoding it takes nothing
away, and no retraining is needed. For spaces whose logits say nothing about pairs there is `soft_pruning`.
"""

from dataclasses import dataclass

import torch

from metanas.params import Params
from metanas.relax.relaxation import Temperature, check_positive


@dataclass(frozen=True)
class PrunedSoftmax:
    """gates = softmax(arch / t) of every choice, without those that are at most `threshold`; implements `Relaxation`.

    The gates that are left are not scaled up again, as in the paper. At t towards 0 they are the decoded architecture.
    """

    threshold: float = 0.01
    """The paper takes 0.01 in meta-training and 0.05 for a new task."""
    sparse: bool = True

    def __call__(self, arch: Params, temperature: Temperature, noise: Params) -> Params:
        """See `Relaxation`; the noise is ignored, and the temperature t is in units of logits."""
        del noise
        check_positive(temperature, "soft pruning")
        gates = {name: torch.softmax(logits / temperature, dim=-1) for name, logits in arch.items()}
        return {name: p * (p > self.threshold) for name, p in gates.items()}

    def draw(self, arch: Params, rng: torch.Generator) -> Params:
        """See `Relaxation`; nothing is random."""
        del arch, rng
        return {}
