"""A network of stacked cells: stem, cells, global average pool, linear head."""

from collections.abc import Iterable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metanas.params import Params
from metanas.spaces.cell import Cell, Choice, Taken
from metanas.spaces.conv import Conv, Linear, dense, fold
from metanas.spaces.mixed import is_mixable, mixed
from metanas.spaces.norm import Norm

Plan = Mapping[str, Sequence[Sequence[str]]]
"""Cell kind -> for every edge the operations to build."""


class PooledStem(nn.Module):
    """T-NAS's stem: twice 3x3 convolution, norm and 2x2 max pooling, a ReLU between: a quarter of the resolution."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        middle = channels_out // 2
        self.conv1 = Conv(channels_in, middle, 3)
        self.norm1 = Norm(middle, affine=True)
        self.conv2 = Conv(middle, channels_out, 3)
        self.norm2 = Norm(channels_out, affine=True)

    def forward(self, x: Tensor, rows: int | None = None) -> Tensor:
        """Features `[n, channels_out, h // 4, w // 4]`."""
        x = dense(self.conv1(dense(x)))  # the second for images of one channel; else it finds nothing to do
        x = F.relu(F.max_pool2d(self.norm1(x, rows), 2))
        return F.max_pool2d(self.norm2(self.conv2(x), rows), 2)


class CellNetwork(nn.Module):
    """Cells of several kinds on a stem.

    Args:
        stem: maps images to `stem_channels` features; called as `stem(x, rows)`.
        stem_channels: its output channels.
        kinds: the kind of every cell, in order; a cell of kind `reduction` halves resolution and doubles the width.
        plan: what every edge of each kind carries.
        primitives: all operation names, in the order of the gate columns.
        width: channels of a node in the first cell.
        n_way: classes.
    """

    def __init__(
        self,
        stem: nn.Module,
        stem_channels: int,
        kinds: Sequence[str],
        *,
        plan: Plan,
        primitives: Sequence[str],
        width: int,
        n_way: int,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.kinds = tuple(kinds)
        cells: list[Cell] = []
        before_last = last = stem_channels
        after_reduction = False
        for kind in kinds:
            reduction = kind == "reduction"
            width *= 2 if reduction else 1
            cells.append(
                Cell(
                    plan[kind],
                    primitives,
                    (before_last, last, width),
                    reduction=reduction,
                    after_reduction=after_reduction,
                )
            )
            before_last, last = last, cells[-1].nodes * width
            after_reduction = reduction
        self.cells: Iterable[Cell] = nn.ModuleList(cells)  # type: ignore[assignment]
        self.head = Linear(last, n_way)

    def forward(
        self, x: Tensor, gates: Params | None = None, *, sparse: bool = False, rows: int | None = None
    ) -> Tensor:
        """Logits `[*tasks, n, n_way]` for images `[*tasks, n, c, h, w]`.

        Several tasks run in one call when images, gates and every weight have a leading `tasks` axis.

        Args:
            x: the batch.
            gates: one number per option, `[*tasks, edges, ops]` by cell kind; None for a child, whose options are all
                taken.
            sparse: leave out options whose gate is exactly zero. Their gates then get no gradient.
            rows: normalise with the statistics of the first `rows` images only; None means the whole batch.
        """
        s0 = s1 = self.stem(fold(x), rows)
        taken: dict[str, dict[Choice, Taken]] = {}
        for kind, cell in zip(self.kinds, self.cells, strict=True):
            if gates is not None and not sparse and rows is None and is_mixable(cell, s1):
                s0, s1 = s1, mixed(cell, s0, s1, gates[kind])
                continue
            if gates is not None and kind not in taken:
                taken[kind] = _take(gates[kind], cell.choices, sparse=sparse)
            s0, s1 = s1, cell(s0, s1, taken.get(kind), rows)
        logits: Tensor = self.head(s1.mean((2, 3)))
        return logits


def _take(gates: Tensor, choices: Sequence[Choice], *, sparse: bool) -> dict[Choice, Taken]:
    """The options to compute: all, or those whose gate is not zero in some task, and then for those tasks alone.

    One gather and one unbind for all gates keep the backward pass short.
    """
    if not sparse:
        edges, ops = zip(*choices, strict=True)
        return {c: Taken(g, None) for c, g in zip(choices, gates[..., edges, ops].unbind(-1), strict=True)}
    used = (gates.detach() != 0).tolist()  # one transfer for all options
    if gates.ndim == 2:
        used = [used]
    everyone = range(len(used))
    taken = [(c, [task for task in everyone if used[task][c[0]][c[1]]]) for c in choices]
    taken = [(choice, tasks) for choice, tasks in taken if tasks]
    if not taken:
        return {}
    if all(len(tasks) == len(used) for _, tasks in taken):
        return _take(gates, [choice for choice, _ in taken], sparse=False)
    where = [(task, *choice) for choice, tasks in taken for task in tasks]
    values = torch.split(gates[tuple(zip(*where, strict=True))], [len(tasks) for _, tasks in taken])
    return {
        choice: Taken(value, None if len(tasks) == len(used) else torch.tensor(tasks, device=gates.device))
        for (choice, tasks), value in zip(taken, values, strict=True)
    }
