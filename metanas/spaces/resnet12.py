"""ResNet-12, the large backbone of few-shot learning (Oreshkin et al. 2018, TADAM, arXiv 1805.10123).

Four residual blocks of three 3x3 convolutions. Two sequences of filters are published: 64, 128, 256, 512 (TADAM) and
64, 160, 320, 640 (Lee et al. 2019, MetaOptNet, arXiv 1904.03758, section 4.1), here as multiples of the first.
"""

from collections.abc import Sequence
from fractions import Fraction

import torch.nn.functional as F
from torch import Tensor, nn

from metanas.errors import ConfigError
from metanas.params import Params
from metanas.spaces.conv import Conv, dense, fold
from metanas.spaces.head import Head, HeadName, LinearHead
from metanas.spaces.norm import Norm
from metanas.spaces.relation import RelationHead
from tasks.episode import TaskSpec

TADAM = (Fraction(1), Fraction(2), Fraction(4), Fraction(8))
METAOPTNET = (Fraction(1), Fraction(5, 2), Fraction(5), Fraction(10))
"""Filters of each block as multiples of those of the first."""

_SLOPE = 0.1  # of the leaky ReLU


class ResidualBlock(nn.Module):
    """Three times 3x3 convolution and norm, plus a 1x1 convolution with norm of the input; leaky ReLU, 2x2 pooling."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        widths = (channels_in, channels_out, channels_out)
        self.convs = nn.ModuleList(Conv(width, channels_out, 3) for width in widths)
        self.norms = nn.ModuleList(Norm(channels_out, affine=True) for _ in widths)
        self.shortcut = Conv(channels_in, channels_out, 1)
        self.shortcut_norm = Norm(channels_out, affine=True)

    def forward(self, x: Tensor, rows: int | None = None) -> Tensor:
        """Features `[n, channels_out, h // 2, w // 2]`."""
        shortcut = self.shortcut_norm(self.shortcut(x), rows)
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = norm(conv(x), rows)
            x = F.leaky_relu(x if i < 2 else x + shortcut, _SLOPE)
        return F.max_pool2d(x, 2)


class ResNet12(nn.Module):
    """Four residual blocks, global average pooling and a head; a network without options.

    Deviations: no DropBlock, no dropout and no weight decay of its own; the norm keeps no running statistics.

    Args:
        spec: of the tasks; images of at least 16x16.
        width: filters of the first block, 64 in both papers.
        widening: `TADAM` or `METAOPTNET`.
        head: the classifier.
    """

    def __init__(self, spec: TaskSpec, width: int, widening: Sequence[Fraction], head: HeadName = "linear") -> None:
        super().__init__()
        channels, height, size = spec.image
        if width < 2 or width % 2:
            raise ConfigError(f"space.width must be even and at least 2, got {width}")
        if min(height, size) < 16:
            raise ConfigError(f"ResNet-12 needs images of at least 16x16, got {height}x{size}; raise data.resolution")
        widths = [channels, *(int(width * factor) for factor in widening)]
        self.blocks = nn.ModuleList(ResidualBlock(*pair) for pair in zip(widths[:-1], widths[1:], strict=True))
        maps = (widths[-1], height >> len(widening), size >> len(widening))
        self.head: Head = RelationHead(maps, spec.n_way) if head == "relation" else LinearHead(widths[-1], spec.n_way)

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
        x = dense(fold(x))
        for block in self.blocks:
            x = block(x, rows)
        return self.head(x, rows, headless=headless)
