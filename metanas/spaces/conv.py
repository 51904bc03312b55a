"""Layers whose weights may differ from task to task: several tasks run as one call, folded into the channels.

Weights may have a leading `tasks` axis, `[tasks, *shape]` instead of `shape`. Features are then `[n, tasks * C, h, w]`,
task after task, a convolution is a grouped one, and a per-channel norm needs no change at all. Hundreds of tiny kernels
of one task become as many calls that do the work of all tasks, at nearly the price of one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metanas.spaces.convolution import convolve

_DENSE_ON = ["cpu"]
"""Kinds of devices on which features lie channels last; a list, since compilers can follow a look into one."""


class Conv(nn.Module):
    """A convolution without bias that keeps the size (divided by the stride), square unless `kernel` is a pair."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: int | tuple[int, int],
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        self.weight = nn.Parameter(torch.empty(channels_out, channels_in // groups, *sides))
        self.stride = stride
        self.dilation = dilation
        self.padding = tuple(dilation * (side // 2) for side in sides)
        self.groups = groups

    @property
    def tasks(self) -> int:
        """How many tasks the weights are for."""
        return self.weight.shape[0] if self.weight.ndim == 5 else 1

    def forward(self, x: Tensor) -> Tensor:
        """Features `[n, tasks * C_in, h, w]` to `[n, tasks * C_out, ceil(h / stride), ceil(w / stride)]`."""
        weight = self.weight.reshape(-1, *self.weight.shape[-3:]).to(x.dtype)
        groups = self.groups * self.tasks
        if x.device.type != "cpu" and not is_vmapped(x):  # whose library differentiates twice group by group
            return convolve(x, weight, self.stride, self.dilation, groups)
        return F.conv2d(x, weight, None, self.stride, self.padding, self.dilation, groups)


def by_tasks(x: Tensor, tasks: int) -> Tensor:
    """Features with the tasks folded into axis 1, `[n, tasks * C, ...]`, as a view `[n, tasks, C, ...]`."""
    return x.view(x.shape[0], tasks, -1, *x.shape[2:])


def fold(x: Tensor) -> Tensor:
    """Images `[tasks, n, c, h, w]` as `[n, tasks * c, h, w]`; images without a tasks axis stay as they are."""
    return x if x.ndim == 4 else x.transpose(0, 1).flatten(1, 2)


def pick(x: Tensor, tasks: int, index: Tensor) -> Tensor:
    """The features of the tasks `index` out of `tasks` folded ones."""
    return _channels_first(_channels_last(x, tasks).index_select(3, index))


def add_to(x: Tensor, tasks: int, index: Tensor, some: Tensor) -> Tensor:
    """`x` plus features of the tasks `index` alone: the counterpart of `pick`."""
    return _channels_first(_channels_last(x, tasks).index_add(3, index, _channels_last(some, len(index))))


def _channels_last(x: Tensor, tasks: int) -> Tensor:
    """`[n, h, w, tasks, C]`, the order in which `dense` features lie in memory, so that gathering keeps it."""
    return by_tasks(x, tasks).permute(0, 3, 4, 1, 2)


def _channels_first(x: Tensor) -> Tensor:
    return x.flatten(3).permute(0, 3, 1, 2)


def dense(x: Tensor) -> Tensor:
    """`x` with the channels of a pixel side by side in memory, on a CPU: most layers are twice as fast.

    One layer hands this order on to the next. Images of one channel have no order to hand on. On a GPU features stay as
    they are, unless `channels_last` says otherwise.
    """
    is_dense = x.device.type in _DENSE_ON and not is_vmapped(x)
    return x.contiguous(memory_format=torch.channels_last) if is_dense else x


@contextmanager
def channels_last(*devices: str) -> Iterator[None]:
    """Within it features lie channels last on these kinds of devices, and on no others; no result depends on it."""
    before = _DENSE_ON.copy()
    _DENSE_ON[:] = devices
    try:
        yield
    finally:
        _DENSE_ON[:] = before


def is_vmapped(x: Tensor) -> bool:
    """Whether `torch.func.vmap` has hidden an axis of `x`; it has no rules for our own gradients, nor for orders."""
    return torch._C._functorch.is_batchedtensor(x)


def join(parts: Sequence[Tensor], tasks: int) -> Tensor:
    """Concatenates the channels of each task: `[n, tasks * C_i, h, w]` to `[n, tasks * sum(C_i), h, w]`."""
    if tasks == 1:
        return torch.cat(list(parts), dim=1)
    return torch.cat([by_tasks(part, tasks) for part in parts], dim=2).flatten(1, 2)


def scale(x: Tensor, gate: Tensor) -> Tensor:
    """`x` times one number a task: features `[n, tasks * C, h, w]`, gates `[tasks]` or `[]`."""
    gate = gate.to(x.dtype)
    if gate.numel() == 1:
        return x * gate
    return (by_tasks(x, gate.shape[0]) * gate[:, None, None, None]).flatten(1, 2)
