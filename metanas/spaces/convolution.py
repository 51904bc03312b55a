"""Convolutions that can be differentiated as often as one likes, by kernels that are quick where they run.

A convolution, the gradient of its input and that of its kernels are sums over the same products, output pixel times
kernel entry times input pixel. Each is linear in both of its arguments, with derivatives that are the other two: any
order comes with it. A library differentiates a convolution twice by a loop over its groups, and depthwise kernels and
folded tasks are groups.

*On a GPU* the three are one call of the library each. *On a CPU* depthwise convolutions of large maps are put together
from what the library (oneDNN) is quick at: it slides a kernel over a map quickly, whatever its size and dilation, and
its gradients are five to ten times slower, apart from those of kernels without dilation and, for the gradient of the
kernel itself, of at most three columns. So there:

1. *Input*: with stride 1 it is the convolution of the incoming gradient with the kernel turned by 180 degrees.
2. *Kernel, dilation 2*: pixels of one parity meet pixels of the same parity only, so the four quarters of a map are
   images of their own, and the dilation is gone.
3. *Kernel, five columns*: three columns, then the other two.
4. *Dilation equal to the stride*: all but every second pixel of the input are never looked at.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

COLUMNS = 3
"""The widest kernel whose gradient a CPU's library computes quickly."""


class Grid(NamedTuple):
    """Which input pixels and channels an output pixel looks at; the padding keeps the size at stride 1."""

    kernel: tuple[int, int]
    stride: int
    dilation: int
    groups: int

    @property
    def padding(self) -> tuple[int, int]:
        """Zeros above and below, and at the left and right."""
        return self.dilation * (self.kernel[0] // 2), self.dilation * (self.kernel[1] // 2)


def convolve(x: Tensor, weight: Tensor, stride: int, dilation: int, groups: int) -> Tensor:
    """`[n, C_in, h, w]` and kernels `[C_out, C_in / groups, k, l]` to `[n, C_out, ceil(h / s), ceil(w / s)]`."""
    grid = Grid((weight.shape[2], weight.shape[3]), stride, dilation, groups)
    out: Tensor = _Convolution.apply(x, weight, grid)  # type: ignore[no-untyped-call]
    return out


def slide(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """On a CPU every channel by itself: `convolve` with kernels `[C, 1, k, k]` and as many groups."""
    if stride == dilation > 1:
        x, stride, dilation = x[:, :, ::stride, ::stride].contiguous(memory_format=torch.channels_last), 1, 1
    if weight.shape[3] <= COLUMNS and dilation == 1:
        return F.conv2d(x, weight, None, stride, weight.shape[3] // 2, 1, len(weight))
    return convolve(x, weight, stride, dilation, len(weight))


class _Convolution(torch.autograd.Function):
    """The convolution."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, grid: Grid) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.grid = grid
        return F.conv2d(x, weight, None, grid.stride, grid.padding, grid.dilation, grid.groups)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        dx, d_weight = ctx.needs_input_grad[:2]
        return (
            _InputGradient.apply(grad, weight, x.shape, ctx.grid) if dx else None,  # type: ignore[no-untyped-call]
            _KernelGradient.apply(grad, x, ctx.grid) if d_weight else None,  # type: ignore[no-untyped-call]
            None,
        )


class _InputGradient(torch.autograd.Function):
    """What comes back to the input, of the given shape, from the gradient of the output and the kernels."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, weight: Tensor, shape: torch.Size, grid: Grid) -> Tensor:
        ctx.save_for_backward(grad, weight)
        ctx.grid = grid
        if _is_slow(grad, grid):
            return _turned(grad, weight, shape, grid)
        return _library(grad, grad.new_empty(shape), weight, grid, (True, False))[0]

    @staticmethod
    def backward(ctx: Any, along: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        grad, weight = ctx.saved_tensors
        d_grad, d_weight = ctx.needs_input_grad[:2]
        return (
            _Convolution.apply(along, weight, ctx.grid) if d_grad else None,  # type: ignore[no-untyped-call]
            _KernelGradient.apply(grad, along, ctx.grid) if d_weight else None,  # type: ignore[no-untyped-call]
            None,
            None,
        )


class _KernelGradient(torch.autograd.Function):
    """What comes back to the kernels, from the gradient of the output and the input."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, x: Tensor, grid: Grid) -> Tensor:
        ctx.save_for_backward(grad, x)
        ctx.grid = grid
        if _is_slow(grad, grid):
            return _in_columns(grad, x, grid)
        like = grad.new_empty(grad.shape[1], x.shape[1] // grid.groups, *grid.kernel)
        return _library(grad, x, like, grid, (False, True))[1]

    @staticmethod
    def backward(ctx: Any, along: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        grad, x = ctx.saved_tensors
        d_grad, dx = ctx.needs_input_grad[:2]
        return (
            _Convolution.apply(x, along, ctx.grid) if d_grad else None,  # type: ignore[no-untyped-call]
            _InputGradient.apply(grad, along, x.shape, ctx.grid) if dx else None,  # type: ignore[no-untyped-call]
            None,
        )


def _library(grad: Tensor, x: Tensor, weight: Tensor, grid: Grid, wanted: tuple[bool, bool]) -> tuple[Tensor, Tensor]:
    """The library's gradients of input and kernels, as far as wanted; of the other argument only the shape counts."""
    steps = [[grid.stride] * 2, list(grid.padding), [grid.dilation] * 2]
    dx, d_weight, _ = torch.ops.aten.convolution_backward(
        grad, x, weight, None, *steps, False, [0, 0], grid.groups, [*wanted, False]
    )
    return dx, d_weight


def _is_slow(grad: Tensor, grid: Grid) -> bool:
    """Whether the library's own gradients are slow: those of depthwise kernels on a CPU."""
    return grad.device.type == "cpu" and grid.groups == grad.shape[1]


def _turned(grad: Tensor, weight: Tensor, shape: torch.Size, grid: Grid) -> Tensor:
    """The input's gradient of a depthwise convolution, case 1 above."""
    if grid.stride == 1:
        return F.conv2d(grad, weight.flip(2, 3), None, 1, grid.padding, grid.dilation, grid.groups)
    short = [side - 1 - grid.stride * (part - 1) for side, part in zip(shape[2:], grad.shape[2:], strict=True)]
    return F.conv_transpose2d(grad, weight, None, grid.stride, grid.padding, short, grid.groups, grid.dilation)


def _in_columns(grad: Tensor, x: Tensor, grid: Grid) -> Tensor:
    """The kernels' gradient of a depthwise convolution, cases 2 and 3 above."""
    if grid.dilation > 1 and grid.stride == 1:
        grad, x = (_parities(part, grid.dilation) for part in (grad, x))
        grid = grid._replace(dilation=1)
    width = grid.kernel[1]
    parts = range(0, width, COLUMNS)
    return torch.cat([_columns(grad, x, grid, first, min(COLUMNS, width - first)) for first in parts], dim=3)


def _parities(x: Tensor, step: int) -> Tensor:
    """The pixels of each parity as images of their own, `[n * step * step, C, h / step, w / step]`, rounded up."""
    x = F.pad(x, (0, -x.shape[3] % step, 0, -x.shape[2] % step))
    n, channels, height, width = x.shape
    split = x.permute(0, 2, 3, 1).view(n, height // step, step, width // step, step, channels)
    return split.permute(0, 2, 4, 1, 3, 5).reshape(-1, height // step, width // step, channels).permute(0, 3, 1, 2)


def _columns(grad: Tensor, x: Tensor, grid: Grid, first: int, count: int) -> Tensor:
    """Columns `first` to `first + count - 1` of the kernels' gradient, `[C, 1, k, count]`."""
    channels, padding = x.shape[1], list(grid.padding)
    if count < grid.kernel[1]:
        left = grid.padding[1] - first * grid.dilation
        needed = (grad.shape[3] - 1) * grid.stride + (count - 1) * grid.dilation + 1
        x, padding[1] = F.pad(x, (left, needed - left - x.shape[3])), 0
    like = grad.new_empty(channels, 1, grid.kernel[0], count)
    steps = [[grid.stride] * 2, padding, [grid.dilation] * 2]
    found: Tensor = torch.ops.aten.convolution_backward(
        grad, x, like, None, *steps, False, [0, 0], channels, [False, True, False]
    )[1]
    return found
