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


def is_bound_by_calls(x: Tensor) -> bool:
    """Whether starting a layer on `x` takes longer than computing it: on a GPU.

    On a CPU one call for all edges of a large map is no quicker than one each (docs/performance.md), and small maps
    have `metanas.spaces.mixed`.
    """
    return x.device.type != "cpu"


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
        self.plain = {choice for choice in self.choices if not list(self.module(choice).parameters())}
        """Options without weights."""
        self.nodes = nodes
        self.ends = ends
        """(node, source) of every edge."""
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
        sharing = None
        if taken is not None and len(taken) == len(self.choices) and after_skip is None:
            is_by_all = all(option.tasks is None for option in taken.values())
            sharing = _Sharing(self, taken, rows) if is_by_all else None
        for choice in self.choices if taken is None else taken:
            node, source = self.ends[choice[0]]
            while len(states) <= source:  # options come node after node: the source has all its edges by now
                states.append(self._state(sums[len(states) - self._inputs], states, passed))
                seen.append(self._seen(states[-1]))
            module = self.module(choice)
            total = sums[node]
            if sharing is not None:
                value = sharing.value(choice, seen[source])
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

    def module(self, choice: Choice) -> nn.Module:
        """The operation that an option stands for."""
        edge, column = choice
        return self._at(edge)[self.primitives[column]]

    def _at(self, edge: int) -> nn.ModuleDict:
        """The operations on an edge, by name."""
        by_name = self[edge]
        assert isinstance(by_name, nn.ModuleDict)
        return by_name

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
            for edge, (target, source) in enumerate(self.ends)
            if target == node and (passed is not None or len(self._at(edge)))
        ]
        return shuffled(total, weighted_sum(parts), tasks, self.partial)


class _Sharing:
    """The options of a cell that takes all: edges that leave a state share what does not depend on the edge.

    That is the ReLU, and the whole of an operation without weights. Where a call costs more than its arithmetic, they
    share the calls of the other operations too: edges are folded into the channels as tasks are.
    """

    def __init__(self, edges: Edges, taken: Mapping[Choice, Taken], rows: int | None) -> None:
        self._edges, self._taken, self._rows = edges, taken, rows
        self._active: dict[int, Tensor] = {}
        """The ReLU of a source."""
        self._plain: dict[Choice, Tensor] = {}
        """Operations without weights, by (source, column)."""
        self._weighed: dict[Choice, Tensor] = {}
        """Options that were computed together with others."""

    def value(self, choice: Choice, x: Tensor) -> Tensor:
        """What the option contributes to its node; `x` is its source."""
        source, column = self._edges.ends[choice[0]][1], choice[1]
        module, gate = self._edges.module(choice), self._taken[choice].gate
        if choice in self._edges.plain:
            if (source, column) not in self._plain:
                self._plain[source, column] = module(x, self._rows)
            return scale(self._plain[source, column], gate)
        if source not in self._active:
            self._active[source] = F.relu(x)
        if not is_bound_by_calls(x):
            out: Tensor = module(x, self._rows, active=self._active[source], gate=gate)
            return out
        if choice not in self._weighed:
            alike = [c for c in self._edges.choices if c[1] == column and self._edges.ends[c[0]][1] == source]
            values = self._together(alike, self._active[source])
            self._weighed |= dict(zip(alike, values, strict=True))
        return self._weighed[choice]

    def _together(self, alike: Sequence[Choice], active: Tensor) -> Sequence[Tensor]:
        """One operation on all edges that leave a state, each `[n, tasks * C, h', w']`, from the state's ReLU."""
        module, gates = self._edges.module(alike[0]), [self._taken[c].gate for c in alike]
        each = [dict(self._edges.module(c).named_parameters()) for c in alike]
        weights = {name: torch.stack([weights[name] for weights in each]) for name in each[0]}
        if gates[0].ndim:  # [edges, tasks, ...]
            weights = {name: weight.flatten(0, 1) for name, weight in weights.items()}
        many = active.repeat(1, len(alike), 1, 1)
        options = {"active": many, "gate": torch.stack(gates).flatten()}
        out: Tensor = functional_call(module, weights, (many, self._rows), options, tie_weights=False)
        return out.chunk(len(alike), dim=1)
