"""The block that few-shot backbones before architecture search are made of."""

import torch.nn.functional as F
from torch import Tensor, nn

from metanas.spaces.conv import Conv
from metanas.spaces.norm import Norm


class ConvBlock(nn.Module):
    """3x3 convolution, norm, ReLU, and 2x2 max pooling where `pool` says so (Vinyals et al. 2016, arXiv 1606.04080)."""

    def __init__(self, channels_in: int, channels_out: int, *, pool: bool = True) -> None:
        super().__init__()
        self.conv = Conv(channels_in, channels_out, 3)
        self.norm = Norm(channels_out, affine=True)
        self.pool = pool

    def forward(self, x: Tensor, rows: int | None = None) -> Tensor:
        """Features `[n, channels_out, h // 2, w // 2]`, or of the same size without pooling."""
        x = F.relu(self.norm(self.conv(x), rows))
        return F.max_pool2d(x, 2) if self.pool else x
