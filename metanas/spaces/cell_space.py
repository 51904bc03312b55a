"""What the spaces of DARTS-like cells share: all but stem, stack, and published sizes.

`FewShot`, `Darts` and `MetaNas` are such spaces. Each says how its network is put together, and which operations it
has where they are not DARTS's; the choices, the parse rule and the gates are those of `CellChoices`.
"""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import ClassVar

import torch
from torch import nn

from metanas.errors import ConfigError
from metanas.params import Params
from metanas.spaces.cell_choices import CellChoices
from metanas.spaces.genotype import check_genotype
from metanas.spaces.network import CellNetwork, Plan
from metanas.spaces.space import CellEdge, Decision, Genotype, Wiring
from tasks.episode import TaskSpec

PRIMITIVES = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
"""DARTS's operations in the published order."""

KINDS = ("normal", "reduction")
"""The kinds of cells; all cells of a kind share one architecture."""


class CellSpace(ABC):
    """A space of normal and reduction cells; implements `SearchSpace` for a class that says how they are stacked.

    A child keeps width and depth of the supernet and inherits its weights; its norms stay without scale and shift.
    """

    primitives: ClassVar[tuple[str, ...]] = PRIMITIVES
    """See `SearchSpace`."""
    learns_inputs: ClassVar[bool] = False
    """Whether pairs of a node's inputs have logits of their own."""

    width: int
    """Channels of a node in the first cells, even."""
    nodes: int
    """Intermediate nodes of a cell, 1 to 8."""
    partial: int = 1
    """Operations see 1/partial of the channels of a state; 1 for all. A child of such a space keeps this, and the
    weights that it inherits; what is trained from scratch (`metanas.networks`) has all channels."""
    options: Plan | None = None
    """The operations that each edge of each kind may carry, `none` among them; None means all, on every edge."""

    @abstractmethod
    def network(self, plan: Plan, spec: TaskSpec) -> CellNetwork:
        """The network that holds the operations of `plan`, on the current default device."""

    @cached_property
    def choices(self) -> CellChoices:
        """The choices of the two cells."""
        return CellChoices(
            KINDS, self.nodes, self.primitives, self.options, self.partial > 1, learns_inputs=self.learns_inputs
        )

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """See `SearchSpace`."""
        return self.choices.decisions

    @property
    def wiring(self) -> Wiring:
        """See `SearchSpace`."""
        return Wiring(inputs=2, nodes=self.nodes)

    def supernet(self, spec: TaskSpec) -> nn.Module:
        """See `SearchSpace`."""
        return self._skeleton(self.choices.full_plan(), spec)

    def child(self, genotype: Genotype, spec: TaskSpec) -> nn.Module:
        """See `SearchSpace`."""
        check_genotype(self, genotype)
        return self._skeleton(self.choices.plan(genotype), spec)

    def logits(self) -> Params:
        """See `SearchSpace`."""
        return self.choices.logits()

    def encode(self, genotype: Genotype) -> Params:
        """See `SearchSpace`."""
        check_genotype(self, genotype)
        return self.choices.encode(genotype)

    def harden(self, arch: Params) -> Params:
        """See `SearchSpace`."""
        return self.choices.harden(arch)

    def decode(self, arch: Params) -> Genotype:
        """See `SearchSpace`."""
        return self.choices.decode(arch)

    def cells(self, genotype: Genotype) -> dict[str, tuple[CellEdge, ...]]:
        """See `SearchSpace`."""
        check_genotype(self, genotype)
        return self.choices.cells(genotype)

    def _skeleton(self, plan: Plan, spec: TaskSpec) -> nn.Module:
        with torch.device("meta"):
            return self.network(plan, spec)


def check_sizes(width: int, nodes: int, partial: int) -> None:
    """Raises `ConfigError` for a width, a number of nodes, or a share of the channels that no cell can have."""
    if width < 2 or width % 2:
        raise ConfigError(f"space.width must be even and at least 2, got {width}")
    if not 1 <= nodes <= 8:
        raise ConfigError(f"space.nodes must be in 1..8, got {nodes}")
    if partial < 1 or width % partial:
        raise ConfigError(f"space.partial must be at least 1 and divide space.width={width}, got {partial}")
