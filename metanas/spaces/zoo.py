"""Published cells, each with the paper that found it and the file that prints it.

Every genotype was compared pair by pair with the file named as `source`. Sizes are millions of parameters as printed in
the literature, for networks that `metanas.networks` builds; they leave out the auxiliary head.
"""

from typing import NamedTuple

from metanas.errors import GenotypeError
from metanas.spaces.cell_genotype import CellGenotype
from metanas.spaces.genotype_text import read_genotype


class Published(NamedTuple):
    """A genotype of the literature."""

    text: str
    """As `read_genotype` reads it."""
    paper: str
    source: str
    """Who prints it, the authors where they do: a repository on GitHub and its file."""
    cifar: float | None = None
    """Printed size of `cifar_network`; None where what is printed is another network's."""
    imagenet: float | None = None
    """Printed size of `imagenet_network`, likewise."""
    note: str = ""
    """What differs from the paper."""


def published(name: str) -> CellGenotype:
    """The cells of that name in `ZOO`; raises `GenotypeError` for an unknown name."""
    if name not in ZOO:
        raise GenotypeError(f"expected a published genotype out of {', '.join(ZOO)}, got {name!r}")
    return read_genotype(ZOO[name].text)


_PC_DARTS = "Xu et al. 2020, PC-DARTS, arXiv 1907.05737"
_SNAS = "Xie et al. 2019, SNAS, arXiv 1812.09926"

ZOO: dict[str, Published] = {
    "darts_v1": Published(
        "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), ('sep_conv_3x3', 1),"
        " ('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 2)],"
        " normal_concat=[2, 3, 4, 5],"
        " reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0),"
        " ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('avg_pool_3x3', 0)],"
        " reduce_concat=[2, 3, 4, 5])",
        "Liu et al. 2019, DARTS (first order), arXiv 1806.09055",
        "quark0/darts cnn/genotypes.py",
        note="The paper prints 3.3 M for its first-order cell; the released one has 3.17 M.",
    ),
    "darts_v2": Published(
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1),"
        " ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)],"
        " normal_concat=[2, 3, 4, 5],"
        " reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1),"
        " ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)],"
        " reduce_concat=[2, 3, 4, 5])",
        "Liu et al. 2019, DARTS (second order), arXiv 1806.09055",
        "chenxin061/pdarts genotypes.py, yuhuixu1993/PC-DARTS genotypes.py",
        3.3,
        4.7,
    ),
    "nasnet_a": Published(
        "Genotype(normal=[('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 0), ('sep_conv_3x3', 0),"
        " ('avg_pool_3x3', 1), ('skip_connect', 0), ('avg_pool_3x3', 0), ('avg_pool_3x3', 0),"
        " ('sep_conv_3x3', 1), ('skip_connect', 1)],"
        " normal_concat=[2, 3, 4, 5, 6],"
        " reduce=[('sep_conv_5x5', 1), ('sep_conv_7x7', 0), ('max_pool_3x3', 1), ('sep_conv_7x7', 0),"
        " ('avg_pool_3x3', 1), ('sep_conv_5x5', 0), ('skip_connect', 3), ('avg_pool_3x3', 2),"
        " ('sep_conv_3x3', 2), ('max_pool_3x3', 1)],"
        " reduce_concat=[4, 5, 6])",
        "Zoph et al. 2018, NASNet-A, arXiv 1707.07012, figure 4",
        "quark0/darts cnn/genotypes.py",
        note="3.1 M in DARTS's table 1 is reached with NASNet's 32 channels; its own paper has another stem and 3.3 M.",
    ),
    "amoebanet_a": Published(
        "Genotype(normal=[('avg_pool_3x3', 0), ('max_pool_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_5x5', 2),"
        " ('sep_conv_3x3', 0), ('avg_pool_3x3', 3), ('sep_conv_3x3', 1), ('skip_connect', 1),"
        " ('skip_connect', 0), ('avg_pool_3x3', 1)],"
        " normal_concat=[4, 5, 6],"
        " reduce=[('avg_pool_3x3', 0), ('sep_conv_3x3', 1), ('max_pool_3x3', 0), ('sep_conv_7x7', 2),"
        " ('sep_conv_7x7', 0), ('avg_pool_3x3', 1), ('max_pool_3x3', 0), ('max_pool_3x3', 1),"
        " ('conv_7x1_1x7', 0), ('sep_conv_3x3', 5)],"
        " reduce_concat=[3, 4, 6])",
        "Real et al. 2019, AmoebaNet-A, arXiv 1802.01548, figure 5",
        "quark0/darts cnn/genotypes.py",
        3.1,
        note="The size is that of DARTS's table 1; the paper's 3.2 M are of its own network.",
    ),
    "enas": Published(
        "Genotype(normal=[('avg_pool_3x3', 0), ('sep_conv_3x3', 0), ('skip_connect', 0), ('sep_conv_5x5', 0),"
        " ('skip_connect', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 1), ('sep_conv_5x5', 0),"
        " ('avg_pool_3x3', 0), ('sep_conv_5x5', 1)],"
        " normal_concat=[2, 3, 4, 5, 6],"
        " reduce=[('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('max_pool_3x3', 0), ('avg_pool_3x3', 0),"
        " ('sep_conv_5x5', 1), ('sep_conv_5x5', 3), ('sep_conv_3x3', 1), ('skip_connect', 0),"
        " ('max_pool_3x3', 0), ('sep_conv_5x5', 1)],"
        " reduce_concat=[2, 4, 5, 6])",
        "Pham et al. 2018, ENAS (micro search), arXiv 1802.03268",
        "melodyguan/enas scripts/cifar10_micro_final.sh",
        note="The released cell, not that of the paper's figure 8; the paper's 4.6 M are of its own network.",
    ),
    "snas_mild": Published(
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('dil_conv_3x3', 1),"
        " ('skip_connect', 0), ('skip_connect', 1), ('skip_connect', 0), ('sep_conv_3x3', 1)],"
        " normal_concat=range(2, 6),"
        " reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('max_pool_3x3', 1), ('skip_connect', 2),"
        " ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), ('dil_conv_5x5', 2)],"
        " reduce_concat=range(2, 6))",
        f"{_SNAS} (mild constraint)",
        "SNAS-Series/SNAS-Series SNAS/genotypes.py",
        note="The released cell has 2.66 M; sizes printed for SNAS fit the moderate one.",
    ),
    "snas_moderate": Published(
        "Genotype(normal=[('dil_conv_5x5', 0), ('skip_connect', 1), ('sep_conv_3x3', 0), ('skip_connect', 1),"
        " ('skip_connect', 0), ('skip_connect', 1), ('sep_conv_3x3', 0), ('dil_conv_5x5', 1)],"
        " normal_concat=range(2, 6),"
        " reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('sep_conv_5x5', 0), ('dil_conv_5x5', 1),"
        " ('sep_conv_5x5', 0), ('sep_conv_5x5', 1), ('sep_conv_5x5', 0), ('sep_conv_5x5', 1)],"
        " reduce_concat=range(2, 6))",
        f"{_SNAS} (moderate constraint)",
        "SNAS-Series/SNAS-Series SNAS/genotypes.py",
        2.8,
        4.3,
        "ImageNet tables of later papers print this size as SNAS (mild); the mild cell has 3.94 M.",
    ),
    "gdas": Published(
        "Genotype(normal=[('skip_connect', 0), ('skip_connect', 1), ('skip_connect', 0), ('sep_conv_5x5', 2),"
        " ('sep_conv_3x3', 3), ('skip_connect', 0), ('sep_conv_5x5', 4), ('sep_conv_3x3', 3)],"
        " normal_concat=range(2, 6),"
        " reduce=[('sep_conv_5x5', 0), ('sep_conv_3x3', 1), ('sep_conv_5x5', 2), ('sep_conv_5x5', 1),"
        " ('dil_conv_5x5', 2), ('sep_conv_3x3', 1), ('sep_conv_5x5', 0), ('sep_conv_5x5', 1)],"
        " reduce_concat=range(2, 6))",
        "Dong & Yang 2019, GDAS, arXiv 1910.04465",
        "D-X-Y/AutoDL-Projects others/GDAS/lib/nas/genotypes.py",
        3.4,
        note="The paper's ImageNet network, 5.3 M, has 50 channels.",
    ),
    "pdarts": Published(
        "Genotype(normal=[('skip_connect', 0), ('dil_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 1),"
        " ('sep_conv_3x3', 1), ('sep_conv_3x3', 3), ('sep_conv_3x3', 0), ('dil_conv_5x5', 4)],"
        " normal_concat=range(2, 6),"
        " reduce=[('avg_pool_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_3x3', 0), ('dil_conv_5x5', 2),"
        " ('max_pool_3x3', 0), ('dil_conv_3x3', 1), ('dil_conv_3x3', 1), ('dil_conv_5x5', 3)],"
        " reduce_concat=range(2, 6))",
        "Chen et al. 2019, P-DARTS, arXiv 1904.12760",
        "chenxin061/pdarts genotypes.py",
        3.4,
        4.9,
    ),
    "pc_darts_cifar": Published(
        "Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 0), ('dil_conv_3x3', 1),"
        " ('sep_conv_5x5', 0), ('sep_conv_3x3', 1), ('avg_pool_3x3', 0), ('dil_conv_3x3', 1)],"
        " normal_concat=range(2, 6),"
        " reduce=[('sep_conv_5x5', 1), ('max_pool_3x3', 0), ('sep_conv_5x5', 1), ('sep_conv_5x5', 2),"
        " ('sep_conv_3x3', 0), ('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('sep_conv_3x3', 2)],"
        " reduce_concat=range(2, 6))",
        f"{_PC_DARTS} (searched on CIFAR-10)",
        "yuhuixu1993/PC-DARTS genotypes.py",
        3.6,
        5.3,
    ),
    "pc_darts_imagenet": Published(
        "Genotype(normal=[('skip_connect', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 0), ('skip_connect', 1),"
        " ('sep_conv_3x3', 1), ('sep_conv_3x3', 3), ('sep_conv_3x3', 1), ('dil_conv_5x5', 4)],"
        " normal_concat=range(2, 6),"
        " reduce=[('sep_conv_3x3', 0), ('skip_connect', 1), ('dil_conv_5x5', 2), ('max_pool_3x3', 1),"
        " ('sep_conv_3x3', 2), ('sep_conv_3x3', 1), ('sep_conv_5x5', 0), ('sep_conv_3x3', 3)],"
        " reduce_concat=range(2, 6))",
        f"{_PC_DARTS} (searched on ImageNet)",
        "yuhuixu1993/PC-DARTS genotypes.py",
        imagenet=5.3,
    ),
}
"""Genotypes by name."""
