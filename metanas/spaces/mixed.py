"""A cell with all its options in use, computed without needless work: the mixed operation of a softmax.

What an edge's options do separately in `metanas.spaces.cell`, one call does here for all edges that leave a state:

1. *What does not depend on the edge is done once for a state*: ReLU, pooling and its norm, the skip connection.
2. *What differs by weights alone is one product of matrices for all edges*: depthwise convolutions of every kernel (see
   `metanas.spaces.depthwise`), 1x1 convolutions, norms. Weights are gathered once for the cell.
3. *Sums are weighted where they are taken*: a state's contributions to all later nodes leave as one tensor.
4. The two inputs of a cell feed the same nodes over edges of the same kinds: they go through all this together.

Features have the axes `[groups, C, pixels, n]`: a channel lies in one piece, so that a norm is the norm of a row, a
depthwise convolution a matrix from the left, and a 1x1 convolution one too, and nothing is ever transposed between
them. A group is a task of a source state. `none` is never computed. The textbook that this equals, in value and every
derivative, is `metanas.bench.textbook`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from metanas.spaces.cell import Cell
from metanas.spaces.conv import dense, is_vmapped, join
from metanas.spaces.depthwise import LARGEST, Product, basis_from_left
from metanas.spaces.edges import edge_ends
from metanas.spaces.norm import normalise_rows

SEPARABLE = {"sep_conv_3x3": 3, "sep_conv_5x5": 5}
DILATED = {"dil_conv_3x3": 3, "dil_conv_5x5": 5}
"""Operations of two depthwise blocks, and of one with dilation 2, with their kernels."""
SHARED = ("max_pool_3x3", "avg_pool_3x3", "skip_connect")
KNOWN = (*SEPARABLE, *DILATED, *SHARED)


class Wave(NamedTuple):
    """States whose outgoing edges are computed together: the two inputs first, then node after node."""

    first: int
    """The first node that they lead to; they lead to all later ones too."""
    sources: range
    stride: int


def waves(cell: Cell) -> list[Wave]:
    """The waves of a cell, in the order of computation."""
    inputs = Wave(0, range(2), cell.edges.stride)
    return [inputs, *(Wave(node + 1, range(node + 2, node + 3), 1) for node in range(cell.edges.nodes - 1))]


def is_mixable(cell: Cell, x: Tensor) -> bool:
    """Whether `mixed` computes this cell, and sooner: every edge has the same known operations, maps are small.

    Cells of partial channels, and features under `vmap` or of less precision than weights, are left to `Cell`.
    """
    ops = {op for _, op in cell.edges.choices}
    is_full = len(cell.edges.choices) == len(ops) * len(cell.edges)
    is_known = all(cell.edges.primitives[op] in KNOWN for op in ops)
    is_whole = cell.edges.partial == 1 and not is_vmapped(x) and x.dtype == cell.input1.conv.weight.dtype
    return is_full and is_known and is_whole and x.device.type == "cpu" and max(x.shape[2:]) <= LARGEST


def mixed(cell: Cell, s0: Tensor, s1: Tensor, gates: Tensor) -> Tensor:
    """What `cell` gives when every option is taken with its gate.

    Args:
        cell: one for which `is_mixable` holds.
        s0: output of the cell before the previous one.
        s1: output of the previous cell.
        gates: `[*tasks, edges, ops]`.
    """
    tasks = cell.input1.conv.tasks
    weights = _Weights(cell, gates.reshape(tasks, *gates.shape[-2:]), tasks)
    inputs = [cell.input0(s0), cell.input1(s1)]
    n, _, height, width = inputs[1].shape
    states: list[Tensor] = []
    x = torch.stack([_inwards(state, tasks) for state in inputs]).flatten(0, 1)
    pending: Tensor | None = None  # what states so far have given to the nodes that are not complete
    for number, wave in enumerate(waves(cell)):
        size = (height, width)
        given = _given(weights, number, x, size, wave.stride)
        height, width = (-(-side // wave.stride) for side in size)
        given = _over_sources(given, tasks) if len(wave.sources) > 1 else given
        pending = given if pending is None else pending + given
        complete, pending = torch.split(pending, [1, len(pending) - 1])
        x = complete[0].contiguous().view(*complete.shape[1:3], -1, n)
        states.append(x.view(-1, height, width, n).permute(3, 0, 1, 2))
    return dense(join(states, tasks))


def _inwards(x: Tensor, tasks: int) -> Tensor:
    """`[n, tasks * C, h, w]` as `[tasks, C, pixels, n]`."""
    return x.permute(1, 2, 3, 0).reshape(tasks, x.shape[1] // tasks, -1, len(x))


def _over_sources(given: Tensor, tasks: int) -> Tensor:
    """The sum over source states, `[targets, sources * tasks, ...]` to `[targets, tasks, ...]`."""
    return given.reshape(len(given), -1, tasks, *given.shape[2:]).sum(1)


class _Weights:
    """The gates and weights of a cell, each gathered once and cut into the pieces that the waves need."""

    def __init__(self, cell: Cell, gates: Tensor, tasks: int) -> None:
        row = {ends: edge for edge, ends in enumerate(edge_ends(cell.edges.nodes))}
        self._cell, self._tasks = cell, tasks
        self._waves = waves(cell)
        self.rows = [
            [row[node, s] for node in range(w.first, cell.edges.nodes) for s in w.sources] for w in self._waves
        ]
        self.ops = [cell.edges.primitives[op] for op in dict.fromkeys(op for _, op in cell.edges.choices)]
        everywhere = [edge for rows in self.rows for edge in rows]
        # [tasks, edges, ops] -> for every wave and op [edges * tasks]
        ordered = gates[:, everywhere].transpose(0, 1)
        self._gates = [part.flatten(0, 1).unbind(1) for part in torch.split(ordered, [len(rows) for rows in self.rows])]
        self._pieces: dict[str, Sequence[Tensor]] = {}

    def gates(self, wave: int, op: str) -> Tensor:
        """The gates of one operation, `[targets, groups]`."""
        column = self._gates[wave][self._cell.edges.primitives.index(op)]
        return column.view(-1, len(self._waves[wave].sources) * self._tasks)

    def of(self, wave: int, name: str) -> Tensor:
        """One parameter of an operation, e.g. `dil_conv_3x3.pointwise`, on all edges: `[targets, groups, *shape]`."""
        if name not in self._pieces:
            op, _, path = name.partition(".")
            is_strided = op == "skip_connect"  # which has weights at stride 2 alone
            rows = self.rows[:1] if is_strided else self.rows
            edges = [self._cell.edges.get_submodule(f"{edge}.{op}.{path}") for group in rows for edge in group]
            stacked = torch.stack([module.weight for module in edges])  # type: ignore[misc]
            self._pieces[name] = torch.split(stacked, [len(group) for group in rows])
        piece = self._pieces[name][wave]
        shape = piece.shape[1 + (piece.ndim == 6) :]
        return piece.reshape(-1, len(self._waves[wave].sources) * self._tasks, *shape)


def _given(weights: _Weights, wave: int, x: Tensor, size: tuple[int, int], stride: int) -> Tensor:
    """What states give to all later nodes, `[targets, groups, C, pixels' * n]`, from `x` `[groups, C, pixels, n]`."""
    parts = _shared(weights, wave, x, size, stride)
    active = F.relu(x)
    if stride > 1 and "skip_connect" in weights.ops:
        reduced = _reduced(weights, wave, active, size)
        parts.append(_weighed(reduced[None], weights, wave, ["skip_connect"]))
    separable = [op for op in SEPARABLE if op in weights.ops]
    dilated = [op for op in DILATED if op in weights.ops]
    if separable or dilated:
        names = [(f"{op}.first", SEPARABLE[op], 1) for op in separable] + [(op, DILATED[op], 2) for op in dilated]
        y = _blocks(weights, wave, active, size, stride, names)
        halves = torch.split(y, [len(separable), len(dilated)])
        if dilated:
            parts.append(_weighed(halves[1], weights, wave, dilated))
        if separable:
            names = [(f"{op}.second", SEPARABLE[op], 1) for op in separable]
            smaller = tuple(-(-side // stride) for side in size)
            z = _blocks(weights, wave, F.relu(halves[0]), smaller, 1, names)
            parts.append(_weighed(z, weights, wave, separable))
    total = parts[-1]
    for part in parts[:-1]:
        total = total + part
    return total


def _shared(weights: _Weights, wave: int, x: Tensor, size: tuple[int, int], stride: int) -> list[Tensor]:
    """Pooling and the plain skip connection, equal for every target but for the gate: as `_given`, or nothing."""
    groups, channels, _, n = x.shape
    images = x.view(groups * channels, *size, n).permute(0, 3, 1, 2)  # n is the last axis in memory
    values, ops = [], []
    for op in SHARED[:2]:
        if op in weights.ops:
            pooled = (
                F.max_pool2d(images, 3, stride, padding=1)
                if op == "max_pool_3x3"
                else F.avg_pool2d(images, 3, stride, padding=1, count_include_pad=False)
            )
            values.append(normalise_rows(pooled.permute(0, 2, 3, 1).reshape(groups * channels, -1)))
            ops.append(op)
    if stride == 1 and "skip_connect" in weights.ops:
        values.append(x.view(groups * channels, -1))
        ops.append("skip_connect")
    if not ops:
        return []
    taken = torch.stack([weights.gates(wave, op) for op in ops], dim=-1)  # [targets, groups, ops]
    stacked = torch.stack(values).view(len(ops), groups, -1)
    out = torch.bmm(taken.transpose(0, 1), stacked.transpose(0, 1))  # [groups, targets, C * pixels' * n]
    return [out.view(groups, -1, channels, out.shape[2] // channels).transpose(0, 1)]


def _reduced(weights: _Weights, wave: int, x: Tensor, size: tuple[int, int]) -> Tensor:
    """`FactorizedReduce` on every edge, `[targets, groups, C, pixels' * n]`, from features after the ReLU."""
    groups, channels, _, n = x.shape
    x = x.view(groups, channels, *size, n)
    top, left = (side % 2 for side in size)
    if top or left:
        x = F.pad(x, (0, 0, left, 0, top, 0))
    halves = []
    for name, start in (("even", 0), ("odd", 1)):
        weight = weights.of(wave, f"skip_connect.{name}").flatten(3)  # [targets, groups, C / 2, C]
        corner = x[:, :, start::2, start::2].reshape(groups, channels, -1)
        flat = Product.apply(weight.transpose(0, 1).flatten(1, 2), corner)  # type: ignore[no-untyped-call]
        halves.append(flat.view(groups, len(weight), -1, flat.shape[2]))
    joined = torch.cat(halves, dim=2).transpose(0, 1)
    return normalise_rows(joined.flatten(0, 2)).view(joined.shape)


def _blocks(
    weights: _Weights, wave: int, x: Tensor, size: tuple[int, ...], stride: int, names: Sequence[tuple[str, int, int]]
) -> Tensor:
    """Depthwise blocks without their ReLU on every edge, `[kinds, targets, groups, C, pixels' * n]`.

    Args:
        weights: of the cell.
        wave: its number.
        x: after the ReLU: `[groups, C, pixels, n]` for all kinds and edges, or with their axes as the result has.
        size: height and width.
        stride: 1 or 2.
        names: path, kernel and dilation of every kind.
    """
    groups, channels = x.shape[-4:-2] if x.ndim == 4 else x.shape[2:4]
    matrices = []
    for name, kernel, dilation in names:
        weight = weights.of(wave, f"{name}.depthwise").flatten(3)  # [targets, groups, C, k * k]
        table = basis_from_left(size[0], size[1], kernel, stride, dilation, weight.dtype)
        if x.ndim == 4:  # targets next to the kinds, below the channels
            weight = weight.permute(1, 2, 0, 3)
        matrices.append((weight.reshape(-1, kernel * kernel) @ table).view(*weight.shape[:3], -1))
    pixels = size[0] * size[1]
    if x.ndim == 4:
        stacked = torch.stack(matrices, dim=2).view(groups * channels, -1, pixels)
        out = Product.apply(stacked, x.flatten(0, 1))  # type: ignore[no-untyped-call]
        out = out.view(groups, channels, len(names), weight.shape[2], -1).permute(2, 3, 0, 1, 4)
    else:
        stacked = torch.stack(matrices).view(-1, matrices[0].shape[-1] // pixels, pixels)
        out = Product.apply(stacked, x.reshape(len(stacked), pixels, -1))  # type: ignore[no-untyped-call]
        out = out.view(len(names), -1, groups, channels, out.shape[1] * out.shape[2])
    pointwise = torch.stack([weights.of(wave, f"{name}.pointwise") for name, _, _ in names]).flatten(4)
    out = Product.apply(pointwise.flatten(0, 2), out.flatten(0, 2))  # type: ignore[no-untyped-call]
    return normalise_rows(out.flatten(0, 1)).view(len(names), -1, groups, channels, out.shape[2])


def _weighed(values: Tensor, weights: _Weights, wave: int, ops: Sequence[str]) -> Tensor:
    """The sum over kinds of `[kinds, targets, groups, C, ...]`, each times its gate."""
    gates = torch.stack([weights.gates(wave, op) for op in ops])
    return (values * gates[..., None, None]).sum(0)
