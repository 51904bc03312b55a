"""A network of stacked cells: stem, cells, head."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from metanas.params import Params
from metanas.spaces.cell import Cell
from metanas.spaces.conv import Conv, dense, fold
from metanas.spaces.edges import Choice, Taken, take
from metanas.spaces.head import Head
from metanas.spaces.input_pairs import shared_out
from metanas.spaces.mixed import is_mixable, mixed
from metanas.spaces.norm import Norm
from metanas.spaces.partial import edge_gates

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


class ConvStem(nn.Module):
    """DARTS's stem: a 3x3 convolution and a norm, at full resolution."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = Conv(channels_in, channels_out, 3)
        self.norm = Norm(channels_out, affine=True)

    def forward(self, x: Tensor, rows: int | None = None) -> Tensor:
        """Features `[n, channels_out, h, w]`."""
        out: Tensor = self.norm(dense(self.conv(dense(x))), rows)  # the second for images of one channel
        return out


class CellNetwork(nn.Module):
    """Cells of several kinds on a stem.

    Args:
        stem: maps images to `stem_channels` features; called as `stem(x, rows)`.
        stem_channels: its output channels.
        kinds: the kind of every cell, in order; a cell of kind `reduction` halves the resolution.
        plan: what every edge of each kind carries.
        primitives: all operation names, in the order of the gate columns.
        width: channels of a node in the first cell.
        growth: what every reduction multiplies them by.
        head: the classifier for so many channels of the last cell's output.
        partial: operations see 1/partial of the channels; the gates then have tables for the edges too, see `partial`.
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
        growth: int = 2,
        head: Callable[[int], Head],
        partial: int = 1,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.kinds = tuple(kinds)
        cells: list[Cell] = []
        before_last = last = stem_channels
        after_reduction = False
        for kind in kinds:
            reduction = kind == "reduction"
            width *= growth if reduction else 1
            cells.append(
                Cell(
                    plan[kind],
                    primitives,
                    (before_last, last, width),
                    reduction=reduction,
                    after_reduction=after_reduction,
                    partial=partial,
                )
            )
            before_last, last = last, cells[-1].edges.nodes * width
            after_reduction = reduction
        self.cells: Iterable[Cell] = nn.ModuleList(cells)  # type: ignore[assignment]
        self.head = head(last)

    def forward(
        self,
        x: Tensor,
        gates: Params | None = None,
        *,
        sparse: bool = False,
        rows: int | None = None,
        headless: bool = False,
        after_skip: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Logits `[*tasks, n, n_way]` for images `[*tasks, n, c, h, w]`.

        Several tasks run in one call when images, gates and every weight have a leading `tasks` axis.

        Args:
            x: the batch.
            gates: one number per option, `[*tasks, edges, ops]` by cell kind; for every node also `[*tasks, 1,
                sources]` with partial channels, `[*tasks, pairs]` where inputs are learned; None for a child, whose
                options are all taken.
            sparse: leave out options whose gate is exactly zero. Their gates then get no gradient.
            rows: normalise with the statistics of the first `rows` images only; None means the whole batch.
            headless: the features that class means are taken of, `[*tasks, n, features]`, instead of the logits.
            after_skip: see `Edges.forward`.
        """
        gates = None if gates is None else shared_out(gates)
        s0 = s1 = self.stem(fold(x), rows)
        taken: dict[str, dict[Choice, Taken]] = {}
        passed: dict[str, Tensor] = {}
        for kind, cell in zip(self.kinds, self.cells, strict=True):
            is_plain = not sparse and rows is None and after_skip is None
            if gates is not None and is_plain and is_mixable(cell, s1):
                s0, s1 = s1, mixed(cell, s0, s1, gates[kind])
                continue
            if gates is not None and kind not in taken:
                table = gates[kind]
                if cell.edges.partial > 1:
                    passed[kind] = edge_gates(gates, kind, cell.edges.nodes)
                    table = table * passed[kind][..., None]
                taken[kind] = take(table, cell.edges.choices, sparse=sparse)
            s0, s1 = s1, cell(s0, s1, taken.get(kind), rows, passed=passed.get(kind), after_skip=after_skip)
        return self.head(s1, rows, headless=headless)
