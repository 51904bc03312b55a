"""Depthwise convolution, on small maps as a product of matrices.

A CPU library's depthwise convolution is slow backwards, and its second derivative is a loop over the channels. On a map
of 7x7 a channel's convolution is a matrix of 49 rows, linear in its kernel; matrix products are fast, and so is every
derivative of theirs. Larger maps are left to `metanas.spaces.convolution`.
"""

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from metanas.spaces.conv import Conv, dense, is_vmapped
from metanas.spaces.convolution import slide

LARGEST = 8
"""Height and width of the largest map that is convolved by matrices: their size grows with the fourth power."""


class Depthwise(Conv):
    """A convolution of every channel by itself."""

    def __init__(self, channels: int, kernel: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__(channels, channels, kernel, stride=stride, dilation=dilation, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """See `Conv.forward`."""
        if x.device.type != "cpu" or is_vmapped(x):
            return super().forward(x)
        if max(x.shape[2:]) <= LARGEST:
            return self.as_matrices(x)
        weight = self.weight.reshape(-1, *self.weight.shape[-3:]).to(x.dtype)
        return slide(x, weight, self.stride, self.dilation)

    def as_matrices(self, x: Tensor) -> Tensor:
        """The same by one matrix a channel."""
        n, channels, height, width = x.shape
        kernel = self.weight.shape[-1]
        table = basis(height, width, kernel, self.stride, self.dilation, x.dtype)
        matrices = (self.weight.reshape(channels, -1).to(x.dtype) @ table).view(channels, height * width, -1)
        # [channels, n, pixels] times [channels, pixels, pixels of the output]
        out: Tensor = Product.apply(x.transpose(0, 1).reshape(channels, n, -1), matrices)  # type: ignore[no-untyped-call]
        return dense(out.transpose(0, 1).unflatten(2, (-(-height // self.stride), -1)))  # type: ignore[no-untyped-call]


class Product(torch.autograd.Function):
    """`torch.bmm`, whose gradients arrive in strides that would make it a slow loop over single products."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        """`a @ b`, `[batch, i, j]` times `[batch, j, k]`."""
        ctx.save_for_backward(a, b)
        return torch.bmm(_packed(a), _packed(b))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Gradients that are products again."""
        a, b = ctx.saved_tensors
        da, db = ctx.needs_input_grad
        return (
            Product.apply(grad, b.mT) if da else None,  # type: ignore[no-untyped-call]
            Product.apply(a.mT, grad) if db else None,  # type: ignore[no-untyped-call]
        )


def _packed(matrices: Tensor) -> Tensor:
    """With rows or columns side by side in memory."""
    return matrices if 1 in matrices.stride()[1:] else matrices.contiguous()


@lru_cache
def basis(height: int, width: int, kernel: int, stride: int, dilation: int, dtype: torch.dtype) -> Tensor:
    """What each entry of a kernel contributes to the matrix of its convolution: `[k * k, pixels * output pixels]`."""
    entries = torch.eye(kernel * kernel, dtype=dtype).view(-1, 1, kernel, kernel)
    pixels = torch.eye(height * width, dtype=dtype).view(-1, 1, height, width)
    moved = F.conv2d(pixels, entries, None, stride, dilation * (kernel // 2), dilation)
    return moved.transpose(0, 1).flatten(1).contiguous()


@lru_cache
def basis_from_left(height: int, width: int, kernel: int, stride: int, dilation: int, dtype: torch.dtype) -> Tensor:
    """`basis` of the transposed matrices: `[k * k, output pixels * pixels]`."""
    table = basis(height, width, kernel, stride, dilation, dtype)
    return table.view(len(table), height * width, -1).transpose(1, 2).flatten(1).contiguous()
