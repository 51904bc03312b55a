"""What a network costs: parameters, and multiply-accumulates for one image."""

from typing import NamedTuple

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tasks.episode import TaskSpec


class Cost(NamedTuple):
    """Size and work of a network."""

    params: int
    """Weights, architecture logits not counted."""
    macs: int
    """Multiply-accumulates of convolutions and linear layers for one image."""


def cost(net: nn.Module, spec: TaskSpec) -> Cost:
    """The cost of a skeleton on the `meta` device, from `torch.utils.flop_counter` (two FLOPs a multiply-accumulate).

    A supernet is counted with all its options.
    """
    image = torch.empty(1, *spec.image, device="meta")
    with FlopCounterMode(display=False) as counter:
        net(image)
    return Cost(sum(p.numel() for p in net.parameters()), counter.get_total_flops() // 2)
