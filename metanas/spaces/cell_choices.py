"""The choices of DARTS-like cells, and how they become gates and come back (DARTS, arXiv 1806.09055, section 2.4).

Every node keeps two incoming edges with one operation each. As decisions: which pair of sources, then the operation on
the lower and on the higher source. `none` can be preferred by logits, but it is never chosen.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from metanas.constant import constant
from metanas.errors import GenotypeError
from metanas.params import Params
from metanas.spaces.edges import edge_ends
from metanas.spaces.input_pairs import pairs, pairs_name
from metanas.spaces.partial import edge_gates, sources_of
from metanas.spaces.space import NEVER, CellEdge, Decision, Genotype

NONE = "none"


@dataclass(frozen=True)
class CellChoices:
    """The decisions of a space whose cells are of the given kinds.

    Args:
        kinds: cell kinds, each with its own architecture.
        nodes: intermediate nodes of a cell.
        primitives: operation names in the order of the gate columns.
        options: the operations that each edge of each kind may carry, `none` among them; None means all, on every edge.
        weighs_sources: whether the edges into a node have logits of their own, `[1, sources]` (see `partial`).
        learns_inputs: whether pairs of a node's inputs have logits of their own, as in MetaNAS (see `input_pairs`);
            otherwise the logits of the operations say which two inputs a node keeps, as in DARTS.
    """

    kinds: tuple[str, ...]
    nodes: int
    primitives: tuple[str, ...]
    options: Mapping[str, Sequence[Sequence[str]]] | None = None
    weighs_sources: bool = False
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
        """Zeros `[edges, ops]` for every kind; then those of every node.

        `[1, sources]` where edges have logits, `[pairs]` where inputs are learned. Options that are left out have the
        logit `NEVER`.
        """
        tables = {
            kind: torch.tensor([[0.0 if op in ops else NEVER for op in self.primitives] for ops in self._options(kind)])
            for kind in self.kinds
        }
        nodes = range(self.nodes) if self.weighs_sources else ()
        tables |= {sources_of(kind, node): torch.zeros(1, node + 2) for kind in self.kinds for node in nodes}
        learned = range(self.nodes) if self.learns_inputs else ()
        return tables | {
            pairs_name(kind, node): torch.zeros(len(pairs(node))) for kind in self.kinds for node in learned
        }

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
        """For every edge of each kind the operations that the child holds: one or none.

        Raises:
            GenotypeError: for an operation that its edge may not carry.
        """
        plan: dict[str, list[list[str]]] = {kind: [[] for _ in self._rows] for kind in self.kinds}
        for kind, edges in self.cells(genotype).items():
            for edge in edges:
                row = self._rows[edge.target - 2, edge.source]
                if edge.op not in self._options(kind)[row]:
                    raise GenotypeError(
                        f"{kind} cell: the edge from {edge.source} to {edge.target} may carry one of "
                        f"{', '.join(self._options(kind)[row])}, got {edge.op}"
                    )
                plan[kind][row].append(edge.op)
        return plan

    def full_plan(self) -> dict[str, list[list[str]]]:
        """The supernet's plan: on every edge all that it may carry."""
        return {kind: [[op for op in ops if op != NONE] for ops in self._options(kind)] for kind in self.kinds}

    def _options(self, kind: str) -> Sequence[Sequence[str]]:
        """What each edge of a kind may carry, `none` among it."""
        return [self.primitives] * len(self._rows) if self.options is None else self.options[kind]

    def encode(self, genotype: Genotype) -> Params:
        """One-hot gates; the edges that are not kept carry `none`, or nothing where the space has no `none`."""
        gates: Params = {}
        weights: Params = {}
        for kind, rows in self.plan(genotype).items():
            table = torch.zeros(len(rows), len(self.primitives))
            for row, ops in zip(table, rows, strict=True):
                for op in ops or [NONE] * (NONE in self.primitives):
                    row[self.primitives.index(op)] = 1.0
            gates[kind] = table
            weights |= self._sources(kind, torch.tensor([float(len(ops)) for ops in rows]))
        for i, kind in enumerate(self.kinds):
            first = 3 * self.nodes * i
            chosen = [torch.tensor(pair) for pair in genotype[first : first + 3 * self.nodes : 3]]
            weights |= self._pairs(kind, chosen, gates[kind])
        return gates | weights

    def _sources(self, kind: str, kept: Tensor) -> Params:
        """The gates of the edges of one kind, from `[*tasks, edges]` zeros and ones; empty where they have none."""
        if not self.weighs_sources:
            return {}
        return {sources_of(kind, node): kept[..., None, self._into(node)] for node in range(self.nodes)}

    def _pairs(self, kind: str, chosen: Sequence[Tensor], like: Tensor) -> Params:
        """The gates of the pairs of one kind, from the number `[*tasks]` of each node's; empty where they have none."""
        if not self.learns_inputs:
            return {}
        return {pairs_name(kind, node): F.one_hot(pair, len(pairs(node))).to(like) for node, pair in enumerate(chosen)}

    def _into(self, node: int) -> slice:
        """The rows of the edges into a node."""
        return slice(self._rows[node, 0], self._rows[node, node + 1] + 1)

    def harden(self, arch: Params) -> Params:
        """One-hot gates by the parse rule: a node keeps its two strongest edges, an edge its strongest operation.

        The strength of an edge is the largest softmax probability of an operation other than `none`. Ties go to the
        lower source and the earlier primitive. Logits `[*tasks, edges, ops]` give gates of the same shape. Edges with
        logits of their own are as strong as the softmax of these says, times their operation (PC-DARTS, arXiv
        1907.05737, section 3.3); the gates of the kept ones are one. Where inputs are learned, a node keeps its
        strongest pair instead, the first among equals.
        """
        gates = {}
        weights: Params = {}
        for kind in self.kinds:
            chosen = self._chosen(arch, kind)
            gates[kind], kept = self._harden(arch[kind].detach(), self._weights(arch, kind), chosen)
            weights |= self._sources(kind, kept) | self._pairs(kind, chosen, arch[kind])
        return gates | weights

    def _weights(self, arch: Params, kind: str) -> Tensor | None:
        """The softmax of the edges' own logits, `[*tasks, edges]`, where they have some."""
        if not self.weighs_sources:
            return None
        names = [sources_of(kind, node) for node in range(self.nodes)]
        return edge_gates({name: torch.softmax(arch[name].detach(), -1) for name in names}, kind, self.nodes)

    def _chosen(self, arch: Params, kind: str) -> list[Tensor]:
        """The number of each node's strongest pair, `[*tasks]`; empty where inputs are not learned."""
        learned = range(self.nodes) if self.learns_inputs else ()
        tables = [arch[pairs_name(kind, node)].detach() for node in learned]
        return [table.sort(dim=-1, descending=True, stable=True).indices[..., 0] for table in tables]

    def _harden(self, logits: Tensor, weight: Tensor | None, chosen: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """One-hot gates, and which edges are kept.

        From logits, the weights of the edges where they have some, and the pairs of the nodes where they are learned.
        """
        p = torch.softmax(logits, dim=-1)
        if NONE in self.primitives:
            p = p.clone()
            p[..., self.primitives.index(NONE)] = -1.0
        # Stable sorts, because max and topk promise nothing about ties.
        best = p.sort(dim=-1, descending=True, stable=True)
        strength, op = best.values[..., 0], best.indices[..., 0]
        if weight is not None:
            strength = strength * weight
        kept = torch.zeros_like(strength, dtype=torch.bool)
        for node in range(self.nodes):
            rows = self._into(node)
            if chosen:
                strongest = constant(tuple(pairs(node)), torch.int64, p.device)[chosen[node]]
            else:
                strongest = strength[..., rows].sort(dim=-1, descending=True, stable=True).indices[..., :2]
            kept[..., rows] = kept[..., rows].scatter(-1, strongest, True)
        if NONE in self.primitives:
            op = op.where(kept, self.primitives.index(NONE))
            return torch.zeros_like(p).scatter(-1, op[..., None], 1.0), kept.to(p)
        return torch.zeros_like(p).scatter(-1, op[..., None], kept[..., None].to(p)), kept.to(p)

    def decode(self, arch: Params) -> Genotype:
        """The genotype of `harden(arch)`; logits without a tasks axis."""
        cells: dict[str, list[CellEdge]] = {}
        hard = self.harden(arch)
        for kind in self.kinds:
            taken = [(self._ends[row], self.primitives[op]) for row, op in hard[kind].nonzero().tolist()]
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
