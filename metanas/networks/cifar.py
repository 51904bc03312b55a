"""The network that DARTS and its descendants train on CIFAR (Liu et al. 2019, arXiv 1806.09055, section 3.2)."""

from torch import Tensor, nn

from metanas.networks.auxiliary import AuxiliaryHead
from metanas.networks.network import DerivedNetwork
from metanas.networks.ops import conv
from metanas.spaces.cell_genotype import CellGenotype
from metanas.spaces.darts import STEM_MULTIPLIER


class CifarStem(nn.Module):
    """A 3x3 convolution and a norm at full resolution; both inputs of the first cell are the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = conv(3, channels, 3)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Twice the features `[n, channels, h, w]`."""
        x = self.norm(self.conv(x))
        return x, x


def cifar_network(
    genotype: CellGenotype, *, n_classes: int = 10, width: int = 36, depth: int = 20, auxiliary: bool = False
) -> DerivedNetwork:
    """The CIFAR network of `genotype`: 20 cells, 36 channels in the first, for colour images of 32x32.

    Published numbers of parameters leave out the auxiliary head, which is there for training.
    """
    return DerivedNetwork(
        CifarStem(STEM_MULTIPLIER * width),
        STEM_MULTIPLIER * width,
        genotype,
        depth=depth,
        width=width,
        n_classes=n_classes,
        auxiliary=(lambda c: AuxiliaryHead(c, n_classes, stride=3, second_norm=True)) if auxiliary else None,
    )
