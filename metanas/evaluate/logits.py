"""How decided architecture logits are."""

import torch

from metanas.categorical import entropy
from metanas.params import Metrics, Params
from metanas.spaces.space import NEVER, of_operations


def describe(arch: Params) -> Metrics:
    """The mean entropy of an edge's operations in nats, and the largest logit of an option in absolute value."""
    return {
        "arch/entropy": float(torch.cat([entropy(a) for a in of_operations(arch).values()]).mean()),
        "arch/max_logit": max(float(a[a > NEVER / 2].abs().max()) for a in arch.values()),
    }
