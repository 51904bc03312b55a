"""The choices of DARTS-like cells, and how they become gates and come back (DARTS, arXiv 1806.09055, section 2.4).

Every node keeps two incoming edges with one operation each. As decisions: which pair of sources, then the operation on
the lower and on the higher source. `none` can be preferred by logits, but it is never chosen.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from metanas.errors import GenotypeError
from metanas.params import Params
from metanas.spaces.edges import edge_ends
from metanas.spaces.input_pairs import pairs, pairs_name
from metanas.spaces.space import CellEdge, Decision, Genotype

NONE = "none"


@dataclass(frozen=True)
class CellChoices:
    """The decisions of a space whose cells are of the given kinds.

    Args:
        kinds: cell kinds, each with its own architecture.
        nodes: intermediate nodes of a cell.
        primitives: operation names in the order of the gate columns.
        learns_inputs: whether pairs of a node's inputs have logits of their own, as in MetaNAS (see `input_pairs`);
            otherwise the logits of the operations say which two inputs a node keeps, as in DARTS.
    """

    kinds: tuple[str, ...]
    nodes: int
    primitives: tuple[str, ...]
    learns_inputs: bool = False

    @cached_property
    def ops(self) -> tuple[str, ...]:
        """The operations that a genotype may name."""
        return tuple(op for op in self.primitives if op != NONE)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """Three decisions a node: the pair of sources, and an operation for each."""
        return tuple(
            decision
            for kind in self.kinds
            for node in range(self.nodes)
            for decision in (
                Decision(f"{kind}/{node}/sources", tuple(f"{a}+{b}" for a, b in pairs(node))),
                Decision(f"{kind}/{node}/first_op", self.ops),
                Decision(f"{kind}/{node}/second_op", self.ops),
            )
        )

    def logits(self) -> Params:
        """Zeros `[edges, ops]` for every kind, and `[pairs]` for every node whose inputs are learned."""
        ops = {kind: torch.zeros(len(self._rows), len(self.primitives)) for kind in self.kinds}
        return ops | {name: torch.zeros(len(pairs(node))) for name, _, node in self._learned()}

    def _learned(self) -> list[tuple[str, str, int]]:
        """(name in logits and gates, kind, node) of all nodes whose inputs are learned."""
        nodes = range(self.nodes if self.learns_inputs else 0)
        return [(pairs_name(kind, node), kind, node) for kind in self.kinds for node in nodes]

    def cells(self, genotype: Genotype) -> dict[str, tuple[CellEdge, ...]]:
        """The kept edges of each kind, node after node, the lower source first."""
        choices = iter(genotype)
        return {
            kind: tuple(
                edge
                for node in range(self.nodes)
                for edge in self._node(node, next(choices), next(choices), next(choices))
            )
            for kind in self.kinds
        }

    def _node(self, node: int, pair: int, first: int, second: int) -> tuple[CellEdge, CellEdge]:
        a, b = pairs(node)[pair]
        return CellEdge(a, node + 2, self.ops[first]), CellEdge(b, node + 2, self.ops[second])

    def plan(self, genotype: Genotype) -> dict[str, list[list[str]]]:
        """For every edge of each kind the operations that the child holds: one or none."""
        plan: dict[str, list[list[str]]] = {kind: [[] for _ in self._rows] for kind in self.kinds}
        for kind, edges in self.cells(genotype).items():
            for edge in edges:
                plan[kind][self._rows[edge.target - 2, edge.source]].append(edge.op)
        return plan

    def full_plan(self) -> dict[str, list[list[str]]]:
        """The supernet's plan: every operation on every edge."""
        return {kind: [list(self.ops) for _ in self._rows] for kind in self.kinds}

    def encode(self, genotype: Genotype) -> Params:
        """One-hot gates; the edges that are not kept carry `none`, or nothing where the space has no `none`."""
        gates = {}
        for kind, rows in self.plan(genotype).items():
            table = torch.zeros(len(rows), len(self.primitives))
            for row, ops in zip(table, rows, strict=True):
                for op in ops or [NONE] * (NONE in self.primitives):
                    row[self.primitives.index(op)] = 1.0
            gates[kind] = table
        chosen = {kind: genotype[3 * self.nodes * i :: 3] for i, kind in enumerate(self.kinds)}
        for name, kind, node in self._learned():
            gates[name] = torch.zeros(len(pairs(node)))
            gates[name][chosen[kind][node]] = 1.0
        return gates

    def harden(self, arch: Params) -> Params:
        """One-hot gates by the parse rule: a node keeps its two strongest edges, an edge its strongest operation.

        The strength of an edge is the largest softmax probability of an operation other than `none`. Ties go to the
        lower source and the earlier primitive. Where inputs are learned, a node keeps its strongest pair instead.
        Logits `[*tasks, edges, ops]` give gates of the same shape.
        """
        chosen = {name: _first_largest(arch[name].detach()) for name, _, _ in self._learned()}
        gates = {kind: self._harden(kind, arch[kind].detach(), chosen) for kind in self.kinds}
        for name, index in chosen.items():
            gates[name] = torch.zeros_like(arch[name].detach()).scatter(-1, index, 1.0)
        return gates

    def _harden(self, kind: str, logits: Tensor, chosen: Params) -> Tensor:
        p = torch.softmax(logits, dim=-1)
        if NONE in self.primitives:
            p = p.index_fill(-1, torch.tensor(self.primitives.index(NONE), device=p.device), -1.0)
        # Stable sorts, because max and topk promise nothing about ties.
        best = p.sort(dim=-1, descending=True, stable=True)
        strength, op = best.values[..., 0], best.indices[..., 0]
        kept = torch.zeros_like(strength, dtype=torch.bool)
        for node in range(self.nodes):
            rows = slice(self._rows[node, 0], self._rows[node, node + 1] + 1)
            if self.learns_inputs:
                both = torch.tensor(pairs(node), device=p.device)
                strongest = both[chosen[pairs_name(kind, node)][..., 0]]
            else:
                strongest = strength[..., rows].sort(dim=-1, descending=True, stable=True).indices[..., :2]
            kept[..., rows] = kept[..., rows].scatter(-1, strongest, True)
        if NONE in self.primitives:
            op = op.where(kept, self.primitives.index(NONE))
            return torch.zeros_like(p).scatter(-1, op[..., None], 1.0)
        return torch.zeros_like(p).scatter(-1, op[..., None], kept[..., None].to(p))

    def decode(self, arch: Params) -> Genotype:
        """The genotype of `harden(arch)`; logits without a tasks axis."""
        cells: dict[str, list[CellEdge]] = {}
        hard = self.harden(arch)
        for kind in self.kinds:
            gates = hard[kind]
            taken = [(self._ends[row], self.primitives[op]) for row, op in gates.nonzero().tolist()]
            cells[kind] = [CellEdge(source, node + 2, op) for (node, source), op in taken if op != NONE]
        return self.genotype(cells)

    def genotype(self, cells: Mapping[str, Sequence[CellEdge]]) -> Genotype:
        """The genotype with these `cells`, the inverse of `cells`; the edges of a kind may have any order.

        Raises:
            GenotypeError: when an edge is of no such cell, or a node has not two edges from two states.
        """
        return tuple(choice for kind in self.kinds for choice in self._choices(kind, cells[kind]))

    def _choices(self, kind: str, edges: Sequence[CellEdge]) -> Iterator[int]:
        for edge in edges:
            if (edge.target - 2, edge.source) not in self._rows or edge.op not in self.ops:
                raise GenotypeError(
                    f"{kind} cell: expected edges into nodes 2..{self.nodes + 1} from earlier states, with operations "
                    f"out of {', '.join(self.ops)}, got {edge.op!r} from {edge.source} to {edge.target}"
                )
        for node in range(self.nodes):
            into = sorted(edge for edge in edges if edge.target == node + 2)
            sources = tuple(edge.source for edge in into)
            if sources not in pairs(node):
                raise GenotypeError(
                    f"{kind} cell, node {node + 2}: expected edges from two different states, got {list(sources)}"
                )
            yield pairs(node).index(sources)
            yield from (self.ops.index(edge.op) for edge in into)

    @cached_property
    def _rows(self) -> dict[tuple[int, int], int]:
        """(node, source) -> the row of that edge in the gates."""
        return {ends: row for row, ends in enumerate(self._ends)}

    @cached_property
    def _ends(self) -> list[tuple[int, int]]:
        """The inverse of `_rows`."""
        return edge_ends(self.nodes)


def _first_largest(logits: Tensor) -> Tensor:
    """The index of the largest entry `[*tasks, 1]`, the first among equals."""
    return logits.sort(dim=-1, descending=True, stable=True).indices[..., :1]
