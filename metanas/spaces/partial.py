"""Partial channels: operations see a share of a state's channels, the others pass by (PC-DARTS, Xu et al. 2020).

An edge runs its operations on the first C / K channels and leaves the rest as they are (a 2x2 max pool where the edge
halves the resolution); both are put side by side and shuffled, so that other channels come first at the next edge.
Edges into a node are weighted by gates of their own, *edge normalisation*: arXiv 1907.05737, equations 1 and 2.

The sum over edges and the shuffle are linear and commute: a node is put together and shuffled once, not once an edge.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from metanas.params import Params
from metanas.spaces.conv import by_tasks, dense, join, scale


def sources_of(kind: str, node: int) -> str:
    """The name of the logits and gates `[1, sources]` of the edges into a node of a kind of cells."""
    return f"{kind}/{node}/sources"


def edge_gates(gates: Params, kind: str, nodes: int) -> Tensor:
    """One number an edge, `[*tasks, edges]`, in the order of `edge_ends`."""
    return torch.cat([gates[sources_of(kind, node)][..., 0, :] for node in range(nodes)], dim=-1)


def first_channels(x: Tensor, tasks: int, partial: int) -> Tensor:
    """The share of `[n, tasks * C, h, w]` that the operations see, `[n, tasks * C / partial, h, w]`."""
    if partial == 1:
        return x
    channels = x.shape[1] // tasks
    return dense(by_tasks(x, tasks)[:, :, : channels // partial].flatten(1, 2))


def passing(x: Tensor, tasks: int, partial: int, stride: int) -> Tensor:
    """The other channels, at the resolution behind an edge of this stride, rounding up."""
    channels = x.shape[1] // tasks
    rest = by_tasks(x, tasks)[:, :, channels // partial :].flatten(1, 2)
    return rest if stride == 1 else F.max_pool2d(rest, stride, ceil_mode=True)


def weighted_sum(parts: Sequence[tuple[Tensor, Tensor | None]]) -> Tensor:
    """The sum of features, each times its gate where it has one; see `metanas.spaces.conv.scale`."""
    total: Tensor | None = None
    for x, gate in parts:
        value = x if gate is None else scale(x, gate)
        total = value if total is None else total + value
    assert total is not None
    return total


def shuffled(worked: Tensor, passed: Tensor, tasks: int, partial: int) -> Tensor:
    """Both shares side by side, then shuffled with `partial` groups (ShuffleNet, Zhang et al. 2018, 1707.01083)."""
    both = by_tasks(join([worked, passed], tasks), tasks)
    n, _, channels, height, width = both.shape
    grouped = both.reshape(n, tasks, partial, channels // partial, height, width)
    return dense(grouped.transpose(2, 3).reshape(n, tasks * channels, height, width))
