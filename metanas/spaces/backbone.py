"""A space of one architecture: what a network that nobody searches looks like to everything that searches."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from metanas.params import Params
from metanas.spaces.genotype import check_genotype
from metanas.spaces.space import CellEdge, Decision, Genotype, Wiring
from tasks.episode import TaskSpec


@dataclass(frozen=True)
class Backbone:
    """Nothing to decide: the genotype is (), there are no logits, and the supernet is the child.

    Implements `SearchSpace`.
    """

    build: Callable[[TaskSpec], nn.Module]
    """The network for tasks of some shape, called as `CellNetwork.forward` says; raises `ConfigError`."""

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """None."""
        return ()

    @property
    def primitives(self) -> tuple[str, ...]:
        """None."""
        return ()

    def supernet(self, spec: TaskSpec) -> nn.Module:
        """See `SearchSpace`."""
        with torch.device("meta"):
            return self.build(spec)

    def child(self, genotype: Genotype, spec: TaskSpec) -> nn.Module:
        """See `SearchSpace`."""
        check_genotype(self, genotype)
        return self.supernet(spec)

    def logits(self) -> Params:
        """See `SearchSpace`."""
        return {}

    def encode(self, genotype: Genotype) -> Params:
        """See `SearchSpace`."""
        check_genotype(self, genotype)
        return {}

    def harden(self, arch: Params) -> Params:
        """See `SearchSpace`."""
        del arch
        return {}

    def decode(self, arch: Params) -> Genotype:
        """See `SearchSpace`."""
        del arch
        return ()

    @property
    def wiring(self) -> Wiring:
        """See `SearchSpace`: there is no cell."""
        return Wiring(inputs=0, nodes=0)

    def cells(self, genotype: Genotype) -> dict[str, tuple[CellEdge, ...]]:
        """No cells to draw."""
        check_genotype(self, genotype)
        return {}
