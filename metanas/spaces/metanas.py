"""The few-shot cell space of MetaNAS (Elsken et al. 2020, arXiv 1911.11090, section 4.1 and appendix).

DARTS-like cells of seven operations, `none` not among them, whose inputs are learned too: a logit for every operation
on an edge, and one for every pair of a node's inputs. The published supernet is `MetaNas()` on 84x84 colour images:
462,509 weights at 5 ways and 146 logits. Deviations: on maps of odd size the strided skip connection pads (see
`FactorizedReduce`); there is no drop path.
"""

from dataclasses import dataclass
from typing import ClassVar

from metanas.errors import ConfigError
from metanas.spaces.cell_space import CellSpace, check_sizes
from metanas.spaces.classifier import classifier
from metanas.spaces.head import HeadName
from metanas.spaces.network import CellNetwork, ConvStem, Plan
from tasks.episode import TaskSpec

STEM_MULTIPLIER = 3
"""Channels of the stem, in widths."""


@dataclass(frozen=True)
class MetaNas(CellSpace):
    """MetaNAS's space; implements `SearchSpace`."""

    primitives: ClassVar[tuple[str, ...]] = (
        "max_pool_3x3",
        "avg_pool_3x3",
        "skip_connect",
        "conv_1x5_5x1",
        "conv_3x3",
        "sep_conv_3x3",
        "dil_conv_3x3",
    )
    learns_inputs: ClassVar[bool] = True

    width: int = 28
    """Channels of a node in all cells, even: reductions do not widen."""
    nodes: int = 3
    """Intermediate nodes of a cell, 1 to 8."""
    stack: int = 4
    """Cells of the network, 2 to 64; every second one is a reduction."""
    head: HeadName = "linear"
    """The classifier."""

    def __post_init__(self) -> None:
        check_sizes(self.width, self.nodes, self.partial)
        if not 2 <= self.stack <= 64:  # a single one would be no reduction, whose logits nothing would depend on
            raise ConfigError(f"space.cells must be in 2..64 for space.kind=metanas, got {self.stack}")

    def network(self, plan: Plan, spec: TaskSpec) -> CellNetwork:
        """See `CellSpace`."""
        channels = STEM_MULTIPLIER * self.width
        shrunk = 2 ** (self.stack // 2)
        maps = (-(-spec.image[1] // shrunk), -(-spec.image[2] // shrunk))  # each reduction rounds up
        return CellNetwork(
            ConvStem(spec.image[0], channels),
            channels,
            ("normal", "reduction") * (self.stack // 2) + ("normal",) * (self.stack % 2),
            plan=plan,
            primitives=self.primitives,
            width=self.width,
            growth=1,
            head=lambda channels: classifier(self.head, (channels, *maps), spec.n_way),
        )
