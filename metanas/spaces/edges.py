"""The edges of a cell and the operations that they carry, with what is computed of them (DARTS, arXiv 1806.09055, 2.1).

A cell is a directed graph: its first states are its inputs, the further ones its nodes. Every node sums one edge from
every earlier state. A supernet holds all operations on every edge, a child only the chosen ones, under the same names:
one class serves both, and inheriting weights is picking entries by name.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from metanas.spaces.conv import add_to, pick, scale
from metanas.spaces.ops import SKIP, Ops
from metanas.spaces.partial import first_channels, passing, shuffled, weighted_sum

Choice = tuple[int, int]
"""(edge, op): where an option sits in the gates `[edges, ops]` of its cell."""


class Taken(NamedTuple):
    """An option to compute."""

    gate: Tensor
    """Its weight: `[]`, or one a task that takes it."""
    tasks: Tensor | None
    """Indices of the folded tasks that take it; None means all."""


def edge_ends(nodes: int, inputs: int = 2) -> list[tuple[int, int]]:
    """(node, source) of every edge of a cell in the order of the gate rows: by node, then by source.

    >>> edge_ends(2)
    [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]
    >>> edge_ends(2, inputs=1)
    [(0, 0), (1, 0), (1, 1)]
    """
    return [(node, source) for node in range(nodes) for source in range(node + inputs)]


def take(gates: Tensor, choices: Sequence[Choice], *, sparse: bool) -> dict[Choice, Taken]:
    """The options to compute: all, or those whose gate is not zero in some task, and then for those tasks alone.

    One unbind for all gates keeps the backward pass short.
    """
    if not sparse:
        columns = gates.flatten(-2).unbind(-1)  # by views: indices would have to be sent to a GPU
        return {(edge, op): Taken(columns[edge * gates.shape[-1] + op], None) for edge, op in choices}
    used = (gates.detach() != 0).tolist()  # one transfer for all options
    if gates.ndim == 2:
        used = [used]
    everyone = range(len(used))
    taken = [(c, [task for task in everyone if used[task][c[0]][c[1]]]) for c in choices]
    taken = [(choice, tasks) for choice, tasks in taken if tasks]
    if not taken:
        return {}
    if all(len(tasks) == len(used) for _, tasks in taken):
        return take(gates, [choice for choice, _ in taken], sparse=False)
    where = [(task, *choice) for choice, tasks in taken for task in tasks]
    values = torch.split(gates[tuple(zip(*where, strict=True))], [len(tasks) for _, tasks in taken])
    return {
        choice: Taken(value, None if len(tasks) == len(used) else torch.tensor(tasks, device=gates.device))
        for (choice, tasks), value in zip(taken, values, strict=True)
    }


class Edges(nn.ModuleList):
    """The operations of `plan` on the edges of one cell, by edge and name.

    Args:
        plan: for every edge, in the order of `edge_ends`, the names of the operations to build, `none` left out.
        primitives: all names in the order of the gate columns.
        ops: the builders of operations.
        width: channels of every state.
        inputs: how many states come before the nodes.
        stride: of the edges that leave an input.
        partial: operations see 1/partial of the channels, the others pass by (see `partial`); divides `width`.
    """

    def __init__(
        self,
        plan: Sequence[Sequence[str]],
        primitives: Sequence[str],
        ops: Ops,
        *,
        width: int,
        inputs: int = 2,
        stride: int = 1,
        partial: int = 1,
    ) -> None:
        nodes = next(n for n in range(1, len(plan) + 1) if len(edge_ends(n, inputs)) == len(plan))
        ends = edge_ends(nodes, inputs)
        super().__init__(
            nn.ModuleDict({op: ops[op](width // partial, stride if source < inputs else 1) for op in names})
            for names, (_, source) in zip(plan, ends, strict=True)
        )
        columns = {op: column for column, op in enumerate(primitives)}
        self.choices: list[Choice] = [(edge, columns[op]) for edge, names in enumerate(plan) for op in names]
        self.primitives = tuple(primitives)
        self._plain = {choice for choice in self.choices if not list(self._module(choice).parameters())}
        """Options without weights."""
        self.nodes = nodes
        self._ends = ends
        self._width = width
        self._inputs = inputs
        self.stride = stride
        self.partial = partial

    def forward(
        self,
        inputs: Sequence[Tensor],
        taken: Mapping[Choice, Taken] | None,
        rows: int | None = None,
        *,
        passed: Tensor | None = None,
        after_skip: Callable[[Tensor], Tensor] | None = None,
    ) -> list[Tensor]:
        """The nodes, each `[n, width, h', w']` or, with folded tasks, `[n, tasks * width, h', w']`.

        Args:
            inputs: the input states, `[n, tasks * width, h, w]`.
            taken: the options to compute and their weights, in the order of `choices`; options that are not in it are
                left out. None takes all options with weight one.
            rows: see `Norm`.
            passed: weights of the edges, `[*tasks, edges]`, for the channels that pass by; None takes the edges that
                hold an operation with weight one. Without such channels it is not looked at.
            after_skip: what is done to the output of every skip connection that all tasks take.
        """
        states, seen = list(inputs), [self._seen(x) for x in inputs]
        sums: list[Tensor | None] = [None] * self.nodes
        is_whole = taken is not None and len(taken) == len(self.choices) and after_skip is None
        shared: dict[Choice, Tensor] = {}
        for choice in self.choices if taken is None else taken:
            node, source = self._ends[choice[0]]
            while len(states) <= source:  # options come node after node: the source has all its edges by now
                states.append(self._state(sums[len(states) - self._inputs], states, passed))
                seen.append(self._seen(states[-1]))
            module = self._module(choice)
            total = sums[node]
            if is_whole and taken is not None and taken[choice].tasks is None:
                value = self._shared(choice, seen[source], taken[choice].gate, rows, shared)
                sums[node] = value if total is None else total + value
            elif taken is None or taken[choice].tasks is None:
                value = module(seen[source], rows)
                if after_skip is not None and self.primitives[choice[1]] == SKIP:
                    value = after_skip(value)
                if taken is not None:
                    value = scale(value, taken[choice].gate)
                sums[node] = value if total is None else total + value
            else:
                sums[node] = self._add_some(total, module, seen[source], taken[choice], rows)
        for total in sums[len(states) - self._inputs :]:
            states.append(self._state(total, states, passed))
        return states[self._inputs :]

    def _module(self, choice: Choice) -> nn.Module:
        edge, column = choice
        return self._at(edge)[self.primitives[column]]

    def _at(self, edge: int) -> nn.ModuleDict:
        """The operations on an edge, by name."""
        by_name = self[edge]
        assert isinstance(by_name, nn.ModuleDict)
        return by_name

    def _shared(
        self, choice: Choice, x: Tensor, gate: Tensor, rows: int | None, shared: dict[Choice, Tensor]
    ) -> Tensor:
        """An option of a cell that takes all: edges that leave the state `x` share what does not depend on the edge.

        That is the ReLU, and the whole of an operation without weights; `shared` holds both by (source, column).
        """
        edge, column = choice
        source, module = self._ends[edge][1], self._module(choice)
        is_plain = choice in self._plain
        key = (source, column if is_plain else -1)
        if key not in shared:
            shared[key] = module(x, rows) if is_plain else F.relu(x)
        if is_plain:
            return scale(shared[key], gate)
        out: Tensor = module(x, rows, active=shared[key], gate=gate)
        return out

    def _add_some(self, total: Tensor | None, module: nn.Module, x: Tensor, taken: Taken, rows: int | None) -> Tensor:
        """Adds an option that some of the folded tasks take, computed for these alone."""
        tasks, index = x.shape[1] * self.partial // self._width, taken.tasks
        assert index is not None
        weights = {name: p.index_select(0, index) for name, p in module.named_parameters()}
        value = scale(functional_call(module, weights, (pick(x, tasks, index), rows), tie_weights=False), taken.gate)
        if total is None:
            total = value.new_zeros(value.shape[0], tasks * (value.shape[1] // len(index)), *value.shape[2:])
        return add_to(total, tasks, index, value)

    def _seen(self, state: Tensor) -> Tensor:
        """What the operations see of a state."""
        return first_channels(state, state.shape[1] // self._width, self.partial)

    def _state(self, total: Tensor | None, states: Sequence[Tensor], passed: Tensor | None) -> Tensor:
        """The next node after `states`, from the sum of its operations; without any edge it is zero."""
        if total is None:
            total = torch.zeros_like(self._seen(states[0])[:, :, :: self.stride, :: self.stride])
        if self.partial == 1:
            return total
        tasks, node = states[0].shape[1] // self._width, len(states) - self._inputs
        parts = [
            (
                passing(states[source], tasks, self.partial, self.stride if source < self._inputs else 1),
                None if passed is None else passed[..., edge],
            )
            for edge, (target, source) in enumerate(self._ends)
            if target == node and (passed is not None or len(self._at(edge)))
        ]
        return shuffled(total, weighted_sum(parts), tasks, self.partial)
