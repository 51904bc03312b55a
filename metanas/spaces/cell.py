"""A cell: a small directed graph whose edges carry operations (DARTS, arXiv 1806.09055, section 2.1).

States 0 and 1 are the outputs of the two previous cells, states 2.. the nodes. Node i sums one edge from every earlier
state; the output concatenates the nodes. A supernet's cell holds all operations on every edge, a child's cell only the
chosen ones, under the same names: one class serves both, and inheriting weights is picking entries by name.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from metanas.spaces.conv import add_to, join, pick, scale
from metanas.spaces.ops import OPS, FactorizedReduce, ReluConvNorm

Choice = tuple[int, int]
"""(edge, op): where an option sits in the gates `[edges, ops]` of its cell."""


class Taken(NamedTuple):
    """An option to compute."""

    gate: Tensor
    """Its weight: `[]`, or one a task that takes it."""
    tasks: Tensor | None
    """Indices of the folded tasks that take it; None means all."""


def edge_ends(nodes: int) -> list[tuple[int, int]]:
    """(node, source) of every edge of a cell in the order of the gate rows: by node, then by source.

    >>> edge_ends(2)
    [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]
    """
    return [(node, source) for node in range(nodes) for source in range(node + 2)]


class Cell(nn.Module):
    """One cell with the operations of `plan` on its edges.

    Args:
        plan: for every edge, in the order of `edge_ends`, the names of the operations to build, `none` left out.
        primitives: all names in the order of the gate columns.
        channels: of the two inputs and of every node.
        reduction: whether edges from the inputs halve the resolution.
        after_reduction: whether the previous cell was a reduction, so that input 0 is twice as large as input 1.
    """

    def __init__(
        self,
        plan: Sequence[Sequence[str]],
        primitives: Sequence[str],
        channels: tuple[int, int, int],
        *,
        reduction: bool,
        after_reduction: bool,
    ) -> None:
        super().__init__()
        before_last, last, width = channels
        shrink = FactorizedReduce if after_reduction else ReluConvNorm
        self.input0 = shrink(before_last, width)
        self.input1 = ReluConvNorm(last, width)
        self.nodes = next(n for n in range(1, len(plan) + 1) if len(edge_ends(n)) == len(plan))
        self._ends = edge_ends(self.nodes)
        self.edges: Sequence[Mapping[str, nn.Module]] = nn.ModuleList(  # type: ignore[assignment]
            nn.ModuleDict({op: OPS[op](width, 2 if reduction and source < 2 else 1) for op in ops})
            for ops, (_, source) in zip(plan, self._ends, strict=True)
        )
        columns = {op: column for column, op in enumerate(primitives)}
        self.choices: list[Choice] = [(edge, columns[op]) for edge, ops in enumerate(plan) for op in ops]
        self.primitives = tuple(primitives)
        self.stride = 2 if reduction else 1

    def forward(self, s0: Tensor, s1: Tensor, taken: Mapping[Choice, Taken] | None, rows: int | None = None) -> Tensor:
        """The concatenated nodes, `[n, nodes * width, h', w']`, or `[n, tasks * nodes * width, h', w']`.

        Args:
            s0: output of the cell before the previous one.
            s1: output of the previous cell.
            taken: the options to compute and their weights, in the order of `choices`; options that are not in it are
                left out. None takes all options with weight one.
            rows: see `Norm`.
        """
        states = [self.input0(s0, rows), self.input1(s1, rows)]
        sums: list[Tensor | None] = [None] * self.nodes
        for choice in self.choices if taken is None else taken:
            node, source = self._ends[choice[0]]
            while len(states) <= source:  # options come node after node: the source has all its edges by now
                states.append(self._state(sums[len(states) - 2], states[0]))
            module = self.edges[choice[0]][self.primitives[choice[1]]]
            if taken is None or taken[choice].tasks is None:
                value = module(states[source], rows)
                if taken is not None:
                    value = scale(value, taken[choice].gate)
                total = sums[node]
                sums[node] = value if total is None else total + value
            else:
                sums[node] = self._add_some(sums[node], module, states[source], taken[choice], rows)
        states += [self._state(total, states[0]) for total in sums[len(states) - 2 :]]
        return join(states[2:], self.input1.conv.tasks)

    def _add_some(self, total: Tensor | None, module: nn.Module, x: Tensor, taken: Taken, rows: int | None) -> Tensor:
        """Adds an option that some of the folded tasks take, computed for these alone."""
        tasks, index = self.input1.conv.tasks, taken.tasks
        assert index is not None
        weights = {name: p.index_select(0, index) for name, p in module.named_parameters()}
        value = scale(functional_call(module, weights, (pick(x, tasks, index), rows), tie_weights=False), taken.gate)
        if total is None:
            total = value.new_zeros(value.shape[0], tasks * (value.shape[1] // len(index)), *value.shape[2:])
        return add_to(total, tasks, index, value)

    def _state(self, total: Tensor | None, like: Tensor) -> Tensor:
        """A node's sum; a node without any edge is zero."""
        return torch.zeros_like(like[:, :, :: self.stride, :: self.stride]) if total is None else total
