"""Residual backbones of few-shot learning: ResNet-12 (Oreshkin et al. 2018, TADAM, arXiv 1805.10123), and a narrow one.

Four residual blocks of 3x3 convolutions, three in ResNet-12, and two in ResNet-8, which is no published network: it is
as narrow as 100 K weights make it, and its last block does not pool.
"""

import math
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from metanas.errors import ConfigError
from metanas.params import Params
from metanas.spaces.classifier import classifier
from metanas.spaces.conv import Conv, dense, fold
from metanas.spaces.head import HeadName
from metanas.spaces.norm import Norm
from tasks.episode import TaskSpec


class Blocks(NamedTuple):
    """The residual blocks of a network."""

    convs: int
    """3x3 convolutions in each."""
    widening: tuple[Fraction, ...]
    """Filters of each as multiples of those of the first."""
    pools: int
    """How many of them, from the first on, halve the resolution."""
    averages: bool = True
    """Whether the classifier sees the average of each of the last maps, or all of it: where things are."""


TADAM = Blocks(3, (Fraction(1), Fraction(2), Fraction(4), Fraction(8)), 4)
"""64, 128, 256, 512 filters."""
METAOPTNET = Blocks(3, (Fraction(1), Fraction(5, 2), Fraction(5), Fraction(10)), 4)
"""64, 160, 320, 640 filters (Lee et al. 2019, arXiv 1904.03758, section 4.1)."""
NARROW = Blocks(2, (Fraction(1), Fraction(7, 4), Fraction(5, 2), Fraction(7, 2)), 3)
"""16, 28, 40, 56 filters: ResNet-8."""
NARROW_MAPS = NARROW._replace(averages=False)
"""The same for characters, which differ in where their strokes are."""

_SLOPE = 0.1  # of the leaky ReLU


class ResidualBlock(nn.Module):
    """3x3 convolutions and norms, plus a 1x1 convolution with norm of the input; leaky ReLU, maybe 2x2 pooling."""

    def __init__(self, channels_in: int, channels_out: int, *, convs: int = 3, pool: bool = True) -> None:
        super().__init__()
        widths = (channels_in, *[channels_out] * (convs - 1))
        self.convs = nn.ModuleList(Conv(width, channels_out, 3) for width in widths)
        self.norms = nn.ModuleList(Norm(channels_out, affine=True) for _ in widths)
        self.shortcut = Conv(channels_in, channels_out, 1)
        self.shortcut_norm = Norm(channels_out, affine=True)
        self.pool = pool

    def forward(self, x: Tensor, rows: int | None = None) -> Tensor:
        """Features `[n, channels_out, h // 2, w // 2]`, or of the same size without pooling."""
        shortcut = self.shortcut_norm(self.shortcut(x), rows)
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = norm(conv(x), rows)
            x = F.leaky_relu(x if i < len(self.convs) - 1 else x + shortcut, _SLOPE)
        return F.max_pool2d(x, 2) if self.pool else x


class ResNet(nn.Module):
    """Residual blocks, global average pooling or none, and a head; a network without options.

    Deviations: no DropBlock, no dropout and no weight decay of its own; the norm keeps no running statistics, and one
    without weights standardises the images, which the papers do with the statistics of the data set.

    Args:
        spec: of the tasks; images of at least 16x16.
        width: filters of the first block, 64 in both papers on ResNet-12; a multiple of 4 for `NARROW`.
        blocks: `TADAM`, `METAOPTNET`, `NARROW` or `NARROW_MAPS`.
        head: the classifier.
    """

    def __init__(self, spec: TaskSpec, width: int, blocks: Blocks, head: HeadName = "linear") -> None:
        super().__init__()
        channels, height, size = spec.image
        step = math.lcm(*(factor.denominator for factor in blocks.widening))
        if width < 1 or width % step:
            raise ConfigError(f"space.width must be a multiple of {step}, at least {step}, got {width}")
        least = 2**blocks.pools
        if min(height, size) < least:
            raise ConfigError(
                f"this residual network needs images of at least {least}x{least}, got {height}x{size}; raise "
                "data.resolution"
            )
        widths = [channels, *(int(width * factor) for factor in blocks.widening)]
        self.standardise = Norm(channels)
        self.blocks = nn.ModuleList(
            ResidualBlock(*pair, convs=blocks.convs, pool=i < blocks.pools) for i, pair in enumerate(pairwise(widths))
        )
        maps = (widths[-1], height >> blocks.pools, size >> blocks.pools)
        self.head = classifier(head, maps, spec.n_way, pool=blocks.averages)

    def forward(
        self,
        x: Tensor,
        gates: Params | None = None,
        *,
        sparse: bool = False,
        rows: int | None = None,
        headless: bool = False,
    ) -> Tensor:
        """As `CellNetwork.forward`; there are no gates to look at."""
        del gates, sparse
        x = self.standardise(dense(fold(x)), rows)
        for block in self.blocks:
            x = block(x, rows)
        return self.head(x, rows, headless=headless)
