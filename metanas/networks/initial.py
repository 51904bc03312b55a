"""Fresh weights for a derived network, from a generator and not from torch's global state."""

import math

import torch
from torch import nn


def initialise(net: nn.Module, rng: torch.Generator) -> None:
    """Draws all weights of `net` anew, as torch's constructors draw them, on the device of `rng`; resets the norms.

    Published results start from torch's defaults: uniform within 1 / sqrt(fan_in). A network that was built on the
    `meta` device is given memory by `net.to_empty(device=...)` first.
    """
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=rng)
            if module.bias is not None:
                bound = 1 / math.sqrt(module.weight[0].numel())
                nn.init.uniform_(module.bias, -bound, bound, generator=rng)
