"""The operations that an edge of a cell may carry (Liu et al. 2019, DARTS, arXiv 1806.09055, section 3.1.1).

Every block is ReLU, convolution, norm, in this order; convolutions have no bias. All are called as `op(x, rows)` and
map `[n, C, h, w]` to `[n, C, h', w']` with h' = ceil(h / stride); with folded tasks C stands for tasks * C. Those with
weights begin with a ReLU and end with a norm: they also take `active`, the ReLU of `x` where it is at hand, and `gate`,
a factor of the result, `[]` or one a task. `none` is not here: it is the absence of an operation.
"""

from collections.abc import Callable, Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from metanas.spaces.conv import Conv, join
from metanas.spaces.depthwise import Depthwise
from metanas.spaces.norm import Norm

Ops = Mapping[str, Callable[[int, int], nn.Module]]
"""Operation name -> builder from (channels, stride)."""


SKIP = "skip_connect"
"""The operation that passes on what it gets."""


def rectified(x: Tensor, active: Tensor | None) -> Tensor:
    """The ReLU of `x`, which is `active` where it is at hand."""
    return F.relu(x) if active is None else active


class Pool(nn.Module):
    """3x3 max or average pooling, then a norm where there is one; padding does not count in the average."""

    def __init__(self, stride: int, *, kind: str, norm: Norm | None) -> None:
        super().__init__()
        self.stride = stride
        self.kind = kind
        self.norm = norm

    def forward(self, x: Tensor, rows: int | None = None) -> Tensor:
        """Features `[n, C, ceil(h / stride), ceil(w / stride)]`."""
        if self.kind == "max":
            pooled = F.max_pool2d(x, 3, self.stride, padding=1)
        else:
            pooled = F.avg_pool2d(x, 3, self.stride, padding=1, count_include_pad=False)
        out: Tensor = pooled if self.norm is None else self.norm(pooled, rows)
        return out


class Identity(nn.Module):
    """The skip connection at stride 1."""

    def forward(self, x: Tensor, rows: int | None = None) -> Tensor:
        """`x` itself."""
        del rows
        return x


class ReluConvNorm(nn.Module):
    """ReLU, convolution, norm: with a 1x1 kernel it brings a cell input to the cell's width."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int = 1, *, stride: int = 1, affine: bool = False
    ) -> None:
        super().__init__()
        self.conv = Conv(channels_in, channels_out, kernel, stride=stride)
        self.norm = Norm(channels_out, affine=affine)

    def forward(
        self, x: Tensor, rows: int | None = None, *, active: Tensor | None = None, gate: Tensor | None = None
    ) -> Tensor:
        """Features `[n, channels_out, ceil(h / stride), ceil(w / stride)]`."""
        out: Tensor = self.norm(self.conv(rectified(x, active)), rows, gate)
        return out


class FactorizedReduce(nn.Module):
    """Halves the resolution with two 1x1 convolutions of stride 2, the second on the map shifted by one pixel.

    Odd maps get one zero row on top and one zero column at the left first, as in T-NAS.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        if channels_out % 2:
            raise ValueError(f"channels_out must be even, got {channels_out}")
        self.even = Conv(channels_in, channels_out // 2, 1, stride=2)
        self.odd = Conv(channels_in, channels_out // 2, 1, stride=2)
        self.norm = Norm(channels_out)

    def forward(
        self, x: Tensor, rows: int | None = None, *, active: Tensor | None = None, gate: Tensor | None = None
    ) -> Tensor:
        """Images `[n, channels_out, ceil(h / 2), ceil(w / 2)]`."""
        x = rectified(x, active)
        top, left = x.shape[2] % 2, x.shape[3] % 2
        if top or left:
            x = F.pad(x, (left, 0, top, 0))
        out: Tensor = self.norm(join([self.even(x), self.odd(x[:, :, 1:, 1:])], self.even.tasks), rows, gate)
        return out


class DepthwiseBlock(nn.Module):
    """ReLU, depthwise k x k convolution, pointwise 1x1 convolution, norm."""

    def __init__(self, channels: int, kernel: int, stride: int, dilation: int = 1) -> None:
        super().__init__()
        self.depthwise = Depthwise(channels, kernel, stride=stride, dilation=dilation)
        self.pointwise = Conv(channels, channels, 1)
        self.norm = Norm(channels)

    def forward(
        self, x: Tensor, rows: int | None = None, *, active: Tensor | None = None, gate: Tensor | None = None
    ) -> Tensor:
        """Features `[n, C, ceil(h / stride), ceil(w / stride)]`."""
        out: Tensor = self.norm(self.pointwise(self.depthwise(rectified(x, active))), rows, gate)
        return out


class SeparableConv(nn.Module):
    """A depthwise block twice, the stride in the first."""

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.first = DepthwiseBlock(channels, kernel, stride)
        self.second = DepthwiseBlock(channels, kernel, 1)

    def forward(
        self, x: Tensor, rows: int | None = None, *, active: Tensor | None = None, gate: Tensor | None = None
    ) -> Tensor:
        """Images `[n, C, ceil(h / stride), ceil(w / stride)]`."""
        out: Tensor = self.second(self.first(x, rows, active=active), rows, gate=gate)
        return out


class FactorizedConv(nn.Module):
    """ReLU, 1 x k convolution at the stride of the edge, k x 1 convolution, norm (NASNet, arXiv 1707.07012)."""

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.rows = Conv(channels, channels, (1, kernel), stride=stride)
        self.columns = Conv(channels, channels, (kernel, 1))
        self.norm = Norm(channels)

    def forward(
        self, x: Tensor, rows: int | None = None, *, active: Tensor | None = None, gate: Tensor | None = None
    ) -> Tensor:
        """Features `[n, C, ceil(h / stride), ceil(w / stride)]`."""
        out: Tensor = self.norm(self.columns(self.rows(rectified(x, active))), rows, gate)
        return out


OPS: Ops = {
    "max_pool_3x3": lambda c, s: Pool(s, kind="max", norm=Norm(c)),
    "avg_pool_3x3": lambda c, s: Pool(s, kind="average", norm=Norm(c)),
    "skip_connect": lambda c, s: Identity() if s == 1 else FactorizedReduce(c, c),
    "sep_conv_3x3": lambda c, s: SeparableConv(c, 3, s),
    "sep_conv_5x5": lambda c, s: SeparableConv(c, 5, s),
    "dil_conv_3x3": lambda c, s: DepthwiseBlock(c, 3, s, dilation=2),
    "dil_conv_5x5": lambda c, s: DepthwiseBlock(c, 5, s, dilation=2),
    "conv_3x3": lambda c, s: DepthwiseBlock(c, 3, s),
    "conv_1x5_5x1": lambda c, s: FactorizedConv(c, 5, s),
}
"""DARTS's operations, without `none`, and the two further ones of MetaNAS, whose `conv_3x3` is depthwise too."""
