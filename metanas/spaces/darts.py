"""The cell space of DARTS (Liu et al. 2019, arXiv 1806.09055): normal and reduction cells, stacked on one convolution.

The published supernet is `Darts()` on 32x32 colour images: 1,930,618 weights for the 10 classes of CIFAR-10 (appendix
A.1.1). Deviations: norms have no running statistics (see `norm`), and maps of odd height or width, which the published
code refuses, are padded (see `FactorizedReduce`).

A child of this space is the network that inherits the supernet's weights. What a paper trains from scratch is larger
and another one: `metanas.networks`.
"""

from dataclasses import dataclass

from metanas.errors import ConfigError
from metanas.spaces.cell_space import PRIMITIVES, CellSpace, check_sizes
from metanas.spaces.classifier import classifier
from metanas.spaces.head import HeadName
from metanas.spaces.network import CellNetwork, ConvStem, Plan
from tasks.episode import TaskSpec

STEM_MULTIPLIER = 3
"""Channels of the stem, in widths."""


@dataclass(frozen=True)
class Darts(CellSpace):
    """DARTS's space; implements `SearchSpace`."""

    width: int = 16
    """Channels of a node in the first cells, even; each of the two reductions doubles them."""
    nodes: int = 4
    """Intermediate nodes of a cell, 1 to 8."""
    stack: int = 8
    """Cells of the network, 3 to 64."""
    head: HeadName = "linear"
    """The classifier."""
    partial: int = 1
    """See `CellSpace`; 4 in PC-DARTS."""
    options: Plan | None = None
    """See `CellSpace`; a stage of P-DARTS leaves some out."""

    def __post_init__(self) -> None:
        check_sizes(self.width, self.nodes, self.partial)
        if not 3 <= self.stack <= 64:  # fewer would all be reductions
            raise ConfigError(f"space.cells must be in 3..64 for space.kind=darts, got {self.stack}")

    def network(self, plan: Plan, spec: TaskSpec) -> CellNetwork:
        """See `CellSpace`."""
        channels = STEM_MULTIPLIER * self.width
        maps = (-(-spec.image[1] // 4), -(-spec.image[2] // 4))  # two reductions, each rounding up
        return CellNetwork(
            ConvStem(spec.image[0], channels),
            channels,
            stacked_kinds(self.stack),
            plan=plan,
            primitives=PRIMITIVES,
            width=self.width,
            head=lambda channels: classifier(self.head, (channels, *maps), spec.n_way),
            partial=self.partial,
        )


def stacked_kinds(cells: int) -> tuple[str, ...]:
    """The kind of every cell of a stack: reductions at one and two thirds of the depth (section 3.1.1).

    >>> stacked_kinds(5)
    ('normal', 'reduction', 'normal', 'reduction', 'normal')
    """
    reductions = (cells // 3, 2 * cells // 3)
    return tuple("reduction" if cell in reductions else "normal" for cell in range(cells))
