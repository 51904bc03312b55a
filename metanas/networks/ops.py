"""The operations of derived networks: those of `metanas.spaces.ops`, as modules that are trained from scratch.

Batch normalisation has scale, shift and running statistics here, and pooling is followed by none (Liu et al. 2019,
DARTS, arXiv 1806.09055, section 3.2). Every block is ReLU, convolution, norm; convolutions have no bias. Features are
`[n, C, h, w]`; an operation of stride 2 gives `[n, C, ceil(h / 2), ceil(w / 2)]`.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A square convolution that keeps the size (divided by the stride)."""
    return nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2, bias=False)


def relu_conv_norm(channels_in: int, channels_out: int) -> nn.Sequential:
    """ReLU, 1x1 convolution, norm: brings a cell input to the cell's width."""
    return nn.Sequential(nn.ReLU(), conv(channels_in, channels_out, 1), nn.BatchNorm2d(channels_out))


class FactorizedReduce(nn.Module):
    """Halves the resolution with two 1x1 convolutions of stride 2, the second on the map shifted by one pixel.

    Odd maps, which the published code refuses, get one zero row on top and one zero column at the left first.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.even = conv(channels_in, channels_out // 2, 1, stride=2)
        self.odd = conv(channels_in, channels_out // 2, 1, stride=2)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """Features `[n, channels_out, ceil(h / 2), ceil(w / 2)]`."""
        x = F.relu(x)
        top, left = x.shape[2] % 2, x.shape[3] % 2
        if top or left:
            x = F.pad(x, (left, 0, top, 0))
        out: Tensor = self.norm(torch.cat([self.even(x), self.odd(x[:, :, 1:, 1:])], dim=1))
        return out


def _depthwise_block(channels: int, kernel: int, stride: int, dilation: int = 1) -> list[nn.Module]:
    padding = dilation * (kernel // 2)
    depthwise = nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False)
    return [nn.ReLU(), depthwise, conv(channels, channels, 1), nn.BatchNorm2d(channels)]


def _separable(channels: int, kernel: int, stride: int) -> nn.Module:
    return nn.Sequential(*_depthwise_block(channels, kernel, stride), *_depthwise_block(channels, kernel, 1))


def _dilated(channels: int, kernel: int, stride: int) -> nn.Module:
    return nn.Sequential(*_depthwise_block(channels, kernel, stride, dilation=2))


def _row_then_column(channels: int, kernel: int, stride: int) -> nn.Module:
    row = nn.Conv2d(channels, channels, (1, kernel), (1, stride), (0, kernel // 2), bias=False)
    column = nn.Conv2d(channels, channels, (kernel, 1), (stride, 1), (kernel // 2, 0), bias=False)
    return nn.Sequential(nn.ReLU(), row, column, nn.BatchNorm2d(channels))


OPS: dict[str, Callable[[int, int], nn.Module]] = {
    "max_pool_3x3": lambda c, s: nn.MaxPool2d(3, s, padding=1),
    "avg_pool_3x3": lambda c, s: nn.AvgPool2d(3, s, padding=1, count_include_pad=False),
    "skip_connect": lambda c, s: nn.Identity() if s == 1 else FactorizedReduce(c, c),
    "sep_conv_3x3": lambda c, s: _separable(c, 3, s),
    "sep_conv_5x5": lambda c, s: _separable(c, 5, s),
    "sep_conv_7x7": lambda c, s: _separable(c, 7, s),
    "dil_conv_3x3": lambda c, s: _dilated(c, 3, s),
    "dil_conv_5x5": lambda c, s: _dilated(c, 5, s),
    "conv_7x1_1x7": lambda c, s: _row_then_column(c, 7, s),
}
"""Operation name -> builder from (channels, stride)."""
