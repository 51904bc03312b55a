"""A network of stages: cells of one input, with a residual block between stages that halves the resolution.

The macro skeleton of NAS-Bench-201 (Dong & Yang 2020, arXiv 2001.00326, figure 1): 3x3 convolution, three stages of
cells, global average pool, linear head. Deviations: norms use the batch at hand, as everywhere here; the shortcut takes
maps of odd size too, rounding up, where the published skeleton, made for 32x32 and 16x16 images, would fail.
"""

from collections.abc import Callable, Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from metanas.params import Params
from metanas.spaces.conv import Conv, dense, fold
from metanas.spaces.edges import Choice, Edges, Taken, take
from metanas.spaces.head import Head
from metanas.spaces.norm import Norm
from metanas.spaces.ops import Ops, ReluConvNorm


class ConvStem(nn.Module):
    """3x3 convolution and norm, at full resolution."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = Conv(channels_in, channels_out, 3)
        self.norm = Norm(channels_out, affine=True)

    def forward(self, x: Tensor, rows: int | None = None) -> Tensor:
        """Features `[n, channels_out, h, w]`."""
        out: Tensor = self.norm(dense(self.conv(dense(x))), rows)
        return out


class ResidualBlock(nn.Module):
    """Two 3x3 blocks, the first of stride 2, beside a 2x2 average pool and a 1x1 convolution without a norm."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.first = ReluConvNorm(channels_in, channels_out, 3, stride=2, affine=True)
        self.second = ReluConvNorm(channels_out, channels_out, 3, affine=True)
        self.shortcut = Conv(channels_in, channels_out, 1)

    def forward(self, x: Tensor, rows: int | None = None) -> Tensor:
        """Features `[n, channels_out, ceil(h / 2), ceil(w / 2)]`."""
        pooled = F.avg_pool2d(x, 2, 2, ceil_mode=True, count_include_pad=False)
        out: Tensor = self.shortcut(pooled) + self.second(self.first(x, rows), rows)
        return out


class Stage(nn.Module):
    """Cells of one width, each taking in the one before; its output is the last node of the last cell."""

    def __init__(self, entrance: nn.Module | None, cells: Sequence[Edges]) -> None:
        super().__init__()
        self.entrance = entrance
        self.cells: Sequence[Edges] = nn.ModuleList(cells)  # type: ignore[assignment]

    def forward(self, x: Tensor, taken: Mapping[Choice, Taken] | None, rows: int | None = None) -> Tensor:
        """Features `[n, width, h', w']`; `taken` and `rows` as in `Edges.forward`."""
        if self.entrance is not None:
            x = self.entrance(x, rows)
        for cell in self.cells:
            x = cell([x], taken, rows)[-1]
        return x


class StagedNetwork(nn.Module):
    """Stages of equal cells on a stem, each stage twice as wide as the one before.

    Args:
        channels: of the images.
        plan: what every edge of a cell carries.
        primitives: all operation names, in the order of the gate columns.
        ops: the builders of operations.
        width: channels of the first stage.
        stages: how many.
        cells: how many in a stage.
        kind: the name of the cell's gates.
        head: see `CellNetwork`.
    """

    def __init__(
        self,
        channels: int,
        *,
        plan: Sequence[Sequence[str]],
        primitives: Sequence[str],
        ops: Ops,
        width: int,
        stages: int,
        cells: int,
        kind: str,
        head: Callable[[int], Head],
    ) -> None:
        super().__init__()
        widths = [width * 2**stage for stage in range(stages)]
        self.kind = kind
        self.stem = ConvStem(channels, width)
        self.stages: Sequence[Stage] = nn.ModuleList(  # type: ignore[assignment]
            Stage(
                ResidualBlock(wide // 2, wide) if stage else None,
                [Edges(plan, primitives, ops, width=wide, inputs=1) for _ in range(cells)],
            )
            for stage, wide in enumerate(widths)
        )
        self.norm = Norm(widths[-1], affine=True)
        self.head = head(widths[-1])

    def forward(
        self,
        x: Tensor,
        gates: Params | None = None,
        *,
        sparse: bool = False,
        rows: int | None = None,
        headless: bool = False,
    ) -> Tensor:
        """Logits `[*tasks, n, n_way]` for images `[*tasks, n, c, h, w]`; see `CellNetwork.forward`."""
        taken = None if gates is None else take(gates[self.kind], self.stages[0].cells[0].choices, sparse=sparse)
        x = self.stem(fold(x), rows)
        for stage in self.stages:
            x = stage(x, taken, rows)
        return self.head(F.relu(self.norm(x, rows)), rows, headless=headless)
