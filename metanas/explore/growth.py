"""Cells that grow node by node, the same architecture in every kind of cell.

A space of cells of b nodes has the decisions of that of b - 1 nodes, and some for the new node: a cell is the tuple of
its choices, node after node, and growing it appends to that tuple. Kinds are tied, as in Auto-Meta (Kim et al. 2018,
arXiv 1806.06927), where normal and reduction cells are equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import torch

from metanas.errors import ConfigError
from metanas.spaces.space import ArchitectureSpace, Decision, Genotype

CellChoice = tuple[int, ...]
"""One choice per decision of a cell, node after node."""


@dataclass(frozen=True)
class Growth:
    """The cells of some spaces, each of which holds the grown cells of the one before.

    Raises `ConfigError` where a space lacks the decisions of the one before.
    """

    spaces: Sequence[ArchitectureSpace]
    """By size; decisions are named KIND/NODE/WHAT."""

    def __post_init__(self) -> None:
        for smaller, larger in zip(self._decisions, self._decisions[1:], strict=False):
            if larger[: len(smaller)] != smaller or len(larger) == len(smaller):
                raise ConfigError(
                    "a space cannot grow: expected the decisions of a smaller cell to come first in the larger one, "
                    f"got {len(smaller)} and {len(larger)} that differ"
                )

    @property
    def sizes(self) -> int:
        """How many sizes of cells there are."""
        return len(self.spaces)

    def decisions(self, size: int) -> tuple[Decision, ...]:
        """Of a cell of size number `size`, counted from 0, without its kind in their names."""
        return self._decisions[size]

    def size(self, cell: CellChoice) -> int:
        """The number of the size of `cell`."""
        return [len(decisions) for decisions in self._decisions].index(len(cell))

    def smallest(self) -> list[CellChoice]:
        """All cells of the first size."""
        return self._products(self._decisions[0])

    def grown(self, cell: CellChoice) -> list[CellChoice]:
        """All cells of the next size that begin with `cell`."""
        larger = self._decisions[self.size(cell) + 1]
        return [cell + new for new in self._products(larger[len(cell) :])]

    def random(self, size: int, rng: torch.Generator) -> CellChoice:
        """Every decision drawn uniformly and independently."""
        return tuple(int(torch.randint(len(d.options), (), generator=rng)) for d in self._decisions[size])

    def genotype(self, cell: CellChoice) -> Genotype:
        """The genotype, in the space of its size, whose cells of every kind are `cell`."""
        size = self.size(cell)
        chosen = {decision.name: choice for decision, choice in zip(self._decisions[size], cell, strict=True)}
        return tuple(chosen[_untied(decision.name)] for decision in self.spaces[size].decisions)

    @staticmethod
    def _products(decisions: Sequence[Decision]) -> list[CellChoice]:
        return list(product(*(range(len(decision.options)) for decision in decisions)))

    @cached_property
    def _decisions(self) -> tuple[tuple[Decision, ...], ...]:
        each = []
        for space in self.spaces:
            named = {_untied(decision.name): decision.options for decision in space.decisions}
            each.append(tuple(Decision(name, options) for name, options in named.items()))
        return tuple(each)


def _untied(name: str) -> str:
    """The name of a decision without its kind of cell."""
    return name.partition("/")[2] or name
