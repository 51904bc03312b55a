"""Depthwise convolution of large maps, with gradients from the kernels that a CPU library has in a quick version.

A CPU's library (oneDNN) slides a depthwise kernel over a map quickly, whatever its size and dilation. Its gradients are
five to ten times slower than that, apart from those of kernels without dilation and, for the gradient of the kernel
itself, of at most three columns. All three are sums over the same products, output pixel times kernel entry times input
pixel, and can be had from the quick cases:

1. *Input*: with stride 1 it is the convolution of the incoming gradient with the kernel turned by 180 degrees.
2. *Kernel, dilation 2*: pixels of one parity meet pixels of the same parity only, so the four quarters of a map are
   images of their own, and the dilation is gone.
3. *Kernel, five columns*: three columns, then the other two.
4. *Dilation equal to the stride*: all but every second pixel of the input are never looked at.

Each of the three is linear in both arguments, with derivatives that are the other two: any order comes with it.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

COLUMNS = 3
"""The widest kernel whose gradient the library computes quickly."""


class Grid(NamedTuple):
    """Which input pixels an output pixel looks at; the padding keeps the size at stride 1."""

    kernel: int
    stride: int
    dilation: int

    @property
    def padding(self) -> int:
        """Zeros on each side."""
        return self.dilation * (self.kernel // 2)


def slide(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    """Every channel by itself: `[n, C, h, w]` and kernels `[C, 1, k, k]` to `[n, C, ceil(h / s), ceil(w / s)]`."""
    if stride == dilation > 1:
        x, stride, dilation = x[:, :, ::stride, ::stride].contiguous(memory_format=torch.channels_last), 1, 1
    grid = Grid(weight.shape[-1], stride, dilation)
    if grid.kernel <= COLUMNS and dilation == 1:
        return F.conv2d(x, weight, None, stride, grid.padding, 1, len(weight))
    out: Tensor = _Slide.apply(x, weight, grid)  # type: ignore[no-untyped-call]
    return out


class _Slide(torch.autograd.Function):
    """The convolution."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, grid: Grid) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.grid = grid
        return F.conv2d(x, weight, None, grid.stride, grid.padding, grid.dilation, len(weight))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        dx, d_weight = ctx.needs_input_grad[:2]
        size = (x.shape[2], x.shape[3])
        return (
            _InputGradient.apply(grad, weight, size, ctx.grid) if dx else None,  # type: ignore[no-untyped-call]
            _KernelGradient.apply(grad, x, ctx.grid) if d_weight else None,  # type: ignore[no-untyped-call]
            None,
        )


class _InputGradient(torch.autograd.Function):
    """What comes back to the input, `[n, C, h, w]`, from the gradient of the output and the kernels."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, weight: Tensor, size: tuple[int, int], grid: Grid) -> Tensor:
        ctx.save_for_backward(grad, weight)
        ctx.grid = grid
        if grid.stride == 1:
            return F.conv2d(grad, weight.flip(2, 3), None, 1, grid.padding, grid.dilation, len(weight))
        short = [side - 1 - grid.stride * (part - 1) for side, part in zip(size, grad.shape[2:], strict=True)]
        return F.conv_transpose2d(grad, weight, None, grid.stride, grid.padding, short, len(weight), grid.dilation)

    @staticmethod
    def backward(ctx: Any, along: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        grad, weight = ctx.saved_tensors
        d_grad, d_weight = ctx.needs_input_grad[:2]
        return (
            _Slide.apply(along, weight, ctx.grid) if d_grad else None,  # type: ignore[no-untyped-call]
            _KernelGradient.apply(grad, along, ctx.grid) if d_weight else None,  # type: ignore[no-untyped-call]
            None,
            None,
        )


class _KernelGradient(torch.autograd.Function):
    """What comes back to the kernels, `[C, 1, k, k]`, from the gradient of the output and the input."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, x: Tensor, grid: Grid) -> Tensor:
        ctx.save_for_backward(grad, x)
        ctx.grid = grid
        if grid.dilation > 1 and grid.stride == 1:
            grad, x = (_parities(part, grid.dilation) for part in (grad, x))
            grid = grid._replace(dilation=1)
        parts = range(0, grid.kernel, COLUMNS)
        return torch.cat([_columns(grad, x, grid, first, min(COLUMNS, grid.kernel - first)) for first in parts], dim=3)

    @staticmethod
    def backward(ctx: Any, along: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        grad, x = ctx.saved_tensors
        d_grad, dx = ctx.needs_input_grad[:2]
        size = (x.shape[2], x.shape[3])
        return (
            _Slide.apply(x, along, ctx.grid) if d_grad else None,  # type: ignore[no-untyped-call]
            _InputGradient.apply(grad, along, size, ctx.grid) if dx else None,  # type: ignore[no-untyped-call]
            None,
        )


def _parities(x: Tensor, step: int) -> Tensor:
    """The pixels of each parity as images of their own, `[n * step * step, C, h / step, w / step]`, rounded up."""
    x = F.pad(x, (0, -x.shape[3] % step, 0, -x.shape[2] % step))
    n, channels, height, width = x.shape
    split = x.permute(0, 2, 3, 1).view(n, height // step, step, width // step, step, channels)
    return split.permute(0, 2, 4, 1, 3, 5).reshape(-1, height // step, width // step, channels).permute(0, 3, 1, 2)


def _columns(grad: Tensor, x: Tensor, grid: Grid, first: int, count: int) -> Tensor:
    """Columns `first` to `first + count - 1` of the kernels' gradient, `[C, 1, k, count]`."""
    channels, padding = x.shape[1], [grid.padding, grid.padding]
    if count < grid.kernel:
        left = grid.padding - first * grid.dilation
        needed = (grad.shape[3] - 1) * grid.stride + (count - 1) * grid.dilation + 1
        x, padding[1] = F.pad(x, (left, needed - left - x.shape[3])), 0
    like = grad.new_empty(channels, 1, grid.kernel, count)
    steps = [[grid.stride] * 2, padding, [grid.dilation] * 2]
    found: Tensor = torch.ops.aten.convolution_backward(
        grad, x, like, None, *steps, False, [0, 0], channels, [False, True, False]
    )[1]
    return found
