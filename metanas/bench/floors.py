"""How long a GPU needs at least: bytes over its copy bandwidth, operations over its matrix rate.

The larger of both is the floor, and measured time over it says how far an implementation is from the machine. The work
is counted where nothing is computed, on the `meta` device, kernel by kernel: every kernel reads its inputs and writes
its outputs once, so that fusing kernels could go below the floor of bytes, and no cache is counted.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from metanas.bench.timing import race


class Work(NamedTuple):
    """What a piece of work consists of."""

    kernels: int
    """Calls of the dispatcher that compute something."""
    bytes: int
    """Read and written."""
    flops: int
    """Of convolutions and matrix products, two a multiply-accumulate."""


class Rates(NamedTuple):
    """What a GPU does at best, measured."""

    bytes_per_second: float
    """Read and written, of a copy."""
    flops_per_second: float
    """Of a product of large matrices in float32, as torch is set up."""

    def shares(self, work: Work, seconds: float) -> dict[str, float]:
        """Both floors as shares of `seconds`."""
        return {
            "floor_share_bytes": work.bytes / self.bytes_per_second / seconds,
            "floor_share_flops": work.flops / self.flops_per_second / seconds,
        }


class _Kernels(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what runs under it; views move nothing."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kernels = self.bytes = self.flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not (func.is_view or func._schema.name in _FREE):
            self.kernels += 1
            self.bytes += sum(t.numel() * t.element_size() for t in _tensors((args, out)))
            self.flops += _flops(func._schema.name, args, out)
        return out


_FREE = {"aten::empty", "aten::new_empty", "aten::empty_like", "aten::_unsafe_view", "aten::detach", "aten::lift_fresh"}
"""Calls that compute nothing and are not marked as views."""


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, list | tuple):
        return [tensor for entry in value for tensor in _tensors(entry)]
    return []


def _flops(name: str, args: Any, out: Any) -> int:
    """Two a multiply-accumulate. torch's counter takes gradients of grouped convolutions for those of dense ones."""
    if name == "aten::convolution":
        return 2 * int(out.numel()) * int(args[1][0].numel())
    if name == "aten::convolution_backward":
        wanted = args[-1][:2]  # of the input, of the kernels
        return 2 * int(sum(wanted)) * int(args[0].numel()) * int(args[2][0].numel())
    if name in _PRODUCTS:
        return 2 * int(out.numel()) * int(args[_PRODUCTS[name]].shape[-1])
    return 0


_PRODUCTS = {"aten::mm": 0, "aten::bmm": 0, "aten::addmm": 1, "aten::baddbmm": 1}
"""Products of matrices, and which argument is the left one."""


def work_of(work: Callable[[], object]) -> Work:
    """Counts `work`, whose tensors lie on the `meta` device."""
    with _Kernels() as counted:
        work()
    return Work(counted.kernels, counted.bytes, counted.flops)


def rates(device: str, *, side: int = 8192) -> Rates:
    """Measures a device by a copy and a product of square matrices of `side` rows."""
    first, second = (torch.rand(side, side, device=device) for _ in range(2))
    target = torch.empty_like(first)
    times = race({"copy": lambda: target.copy_(first), "product": lambda: first @ second}, 9, 5.0, device)
    return Rates(2 * first.numel() * first.element_size() / times["copy"].median, 2 * side**3 / times["product"].median)
