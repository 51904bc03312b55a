"""The few-shot cell space of T-NAS (Lian et al. 2020, OpenReview r1eowANFvr): DARTS cells, one normal, one reduction.

The published size is `FewShot(width=16)` on 84x84 images: 201,181 supernet weights at 5 ways. The decoded child keeps
width and depth and inherits the supernet's weights; its norms stay without scale and shift, as in the supernet.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn

from metanas.errors import ConfigError
from metanas.params import Params
from metanas.spaces.cell_choices import CellChoices
from metanas.spaces.genotype import check_genotype
from metanas.spaces.network import CellNetwork, Plan, PooledStem
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


@dataclass(frozen=True)
class FewShot:
    """T-NAS's space; implements `SearchSpace`."""

    width: int = 16
    """Channels of a node in the normal cell, even; the reduction cell has twice as many."""
    nodes: int = 4
    """Intermediate nodes of a cell, 1 to 8."""

    def __post_init__(self) -> None:
        if self.width < 2 or self.width % 2:
            raise ConfigError(f"space.width must be even and at least 2, got {self.width}")
        if not 1 <= self.nodes <= 8:
            raise ConfigError(f"space.nodes must be in 1..8, got {self.nodes}")

    @cached_property
    def choices(self) -> CellChoices:
        """The choices of the two cells."""
        return CellChoices(KINDS, self.nodes, PRIMITIVES)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """See `SearchSpace`."""
        return self.choices.decisions

    @property
    def primitives(self) -> tuple[str, ...]:
        """See `SearchSpace`."""
        return PRIMITIVES

    @property
    def wiring(self) -> Wiring:
        """See `SearchSpace`."""
        return Wiring(inputs=2, nodes=self.nodes)

    def supernet(self, spec: TaskSpec) -> nn.Module:
        """See `SearchSpace`."""
        return self._network(self.choices.full_plan(), spec)

    def child(self, genotype: Genotype, spec: TaskSpec) -> nn.Module:
        """See `SearchSpace`."""
        check_genotype(self, genotype)
        return self._network(self.choices.plan(genotype), spec)

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

    def _network(self, plan: Plan, spec: TaskSpec) -> nn.Module:
        channels, height, width = spec.image
        if min(height, width) < 8:
            raise ConfigError(f"the pooled stem needs images of at least 8x8, got {height}x{width}")
        with torch.device("meta"):
            return CellNetwork(
                PooledStem(channels, 3 * self.width),
                3 * self.width,
                KINDS,
                plan=plan,
                primitives=self.primitives,
                width=self.width,
                n_way=spec.n_way,
            )
