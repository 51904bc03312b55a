"""Learned step sizes of the inner loop (Meta-SGD: Li et al. 2017, arXiv 1707.09835, equation 2).

theta' = theta - a * dL/dtheta, where a is meta-learned with theta. Here a = base * exp(r): the base is the step size of
the configuration, and what is learned is r, which starts at 0. So step sizes stay positive, an outer step changes them
by a share of themselves whatever their scale (1 for weights, 30 for logits), and a base of 0 still freezes.

`element` is Meta-SGD itself; `layer_step` is the per-layer per-step learning rates (LSLR) of MAML++ (Antoniou et al.
2019, arXiv 1810.09502, section 4). Deviation: both papers learn a itself, which may then become negative.
"""

from typing import Literal

import torch
from torch import Tensor

from metanas.params import MetaParams, Params

RateKind = Literal["fixed", "layer", "layer_step", "element"]


def initial_rates(kind: RateKind, params: MetaParams, names: list[str], steps: int) -> Params:
    """r = 0 for the entries `names` of `params`.

    A rate broadcasts with its entry once its last axis, the inner step, is picked: `[*ones, 1]` for a tensor as a whole
    ("layer"), `[*ones, steps]` with one of its own for every step ("layer_step"), `[*shape, 1]` for every number
    ("element"). "fixed" learns none.
    """
    if kind == "fixed":
        return {}
    entries = params.weights | params.arch
    last = max(1, steps) if kind == "layer_step" else 1
    return {
        name: torch.zeros(*(p.shape if kind == "element" else [1] * p.ndim), last).to(p)
        for name, p in entries.items()
        if name in names
    }


def factor(rate: Tensor, step: int) -> Tensor:
    """exp(r) at an inner step; a loop that is longer than the meta-trained one goes on with the last rate."""
    return torch.exp(rate[..., min(step, rate.shape[-1] - 1)])
