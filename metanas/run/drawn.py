"""Where a run begins that has learned nothing yet: weights and logits drawn from its seed."""

import torch
from torch import nn

from metanas.params import MetaParams
from metanas.spaces.initial import initial_weights
from metanas.spaces.space import SearchSpace
from tasks.stream import stream


def drawn(net: nn.Module, space: SearchSpace, arch_std: float, seed: int, *names: str | int) -> MetaParams:
    """Weights for the skeleton `net`, and normal logits, on the CPU.

    Args:
        net: a supernet of `space`.
        space: whose logits are drawn.
        arch_std: their standard deviation.
        seed: of the run.
        names: of what begins within the run, such as a stage; other names are other draws.
    """
    weights = initial_weights(net, stream(seed, "weights", *names))
    arch = {
        kind: logits + arch_std * torch.randn(logits.shape, generator=stream(seed, "arch", kind, *names))
        for kind, logits in space.logits().items()
    }
    return MetaParams(weights, arch)
