"""The network that DARTS and its descendants train on ImageNet (Liu et al. 2019, arXiv 1806.09055, section 3.4)."""

import torch.nn.functional as F
from torch import Tensor, nn

from metanas.networks.auxiliary import AuxiliaryHead
from metanas.networks.network import DerivedNetwork
from metanas.networks.ops import conv
from metanas.spaces.cell_genotype import CellGenotype


class ImageNetStem(nn.Module):
    """Three 3x3 convolutions of stride 2: to a quarter of the resolution, and from there to an eighth."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = conv(3, channels // 2, 3, stride=2)
        self.norm1 = nn.BatchNorm2d(channels // 2)
        self.conv2 = conv(channels // 2, channels, 3, stride=2)
        self.norm2 = nn.BatchNorm2d(channels)
        self.conv3 = conv(channels, channels, 3, stride=2)
        self.norm3 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Features `[n, channels, h / 4, w / 4]` and `[n, channels, h / 8, w / 8]`, rounded up."""
        s0 = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return s0, self.norm3(self.conv3(F.relu(s0)))


def imagenet_network(
    genotype: CellGenotype, *, n_classes: int = 1000, width: int = 48, depth: int = 14, auxiliary: bool = False
) -> DerivedNetwork:
    """The ImageNet network of `genotype` in the mobile setting: 14 cells, 48 channels, colour images of 224x224.

    Published numbers of parameters and multiply-adds leave out the auxiliary head, which is there for training. Papers
    count multiply-adds by different rules: those of `metanas.spaces.cost` are GDAS's (convolutions and classifier; 581
    M at 50 channels); P-DARTS and PC-DARTS add norms (two an element), ReLUs and pools (557, 586 and 597 M). By both
    rules their figures are met to the million.

    DARTS's 574 M for `darts_v2` follows from neither: here it is 529.9 M, and 544.59 M with the rest. Readers of the
    released code counted the same 544.59 M, and 523 M (quark0/darts, issue 46); osmr/imgclsmob has 539.86 M for the
    released weights, of 4,718,752 parameters as here. The auxiliary head would add 1.6 M. SNAS's 522 M is likewise
    above every count of a released cell: 465.6 M for the moderate one, which has the printed size.
    """
    return DerivedNetwork(
        ImageNetStem(width),
        width,
        genotype,
        depth=depth,
        width=width,
        n_classes=n_classes,
        stem_reduces=True,
        auxiliary=(lambda c: AuxiliaryHead(c, n_classes, stride=2, second_norm=False)) if auxiliary else None,
    )
