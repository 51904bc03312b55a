"""The same networks as a textbook writes them: the reference for values, derivatives and speed.

One `nn.Module` for each operation, `nn.BatchNorm2d` with the statistics of the batch, all operations on all edges times
their gates, `none` too (DARTS, arXiv 1806.09055, equations 1 and 2): the way public implementations work. Parameters
have the names of `metanas.spaces.network`, so that one set of weights serves both; `textbook_weights` renames the few
that torch calls otherwise.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metanas.params import Params
from metanas.spaces.edges import edge_ends

Tables = Mapping[str, Sequence[Sequence[str]]]
"""Cell kind -> for every edge the names of its operations."""


def norm(channels: int, *, affine: bool = False) -> nn.Module:
    """Batch normalisation without running statistics."""
    return nn.BatchNorm2d(channels, affine=affine, track_running_stats=False)


def conv(channels_in: int, channels_out: int, kernel: int, **options: int) -> nn.Module:
    """A square convolution without bias."""
    padding = options.get("dilation", 1) * (kernel // 2)
    return nn.Conv2d(channels_in, channels_out, kernel, padding=padding, bias=False, **options)  # type: ignore[arg-type]


class Zero(nn.Module):
    """`none`: zeros."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Zeros of the size that the other operations give."""
        return x[:, :, :: self.stride, :: self.stride] * 0.0


class Pool(nn.Module):
    """Pooling, then a norm."""

    def __init__(self, pool: nn.Module, channels: int) -> None:
        super().__init__()
        self.pool = pool
        self.norm = norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Pooled features, normalised."""
        out: Tensor = self.norm(self.pool(x))
        return out


class ReluConvNorm(nn.Module):
    """ReLU, 1x1 convolution, norm."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = conv(channels_in, channels_out, 1)
        self.norm = norm(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """Features of `channels_out` channels."""
        out: Tensor = self.norm(self.conv(F.relu(x)))
        return out


class FactorizedReduce(nn.Module):
    """Half the resolution: two 1x1 convolutions of stride 2, one of them shifted by a pixel."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.even = conv(channels_in, channels_out // 2, 1, stride=2)
        self.odd = conv(channels_in, channels_out // 2, 1, stride=2)
        self.norm = norm(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """Features of half the size, rounded up."""
        x = F.relu(x)
        x = F.pad(x, (x.shape[3] % 2, 0, x.shape[2] % 2, 0))
        out: Tensor = self.norm(torch.cat([self.even(x), self.odd(x[:, :, 1:, 1:])], dim=1))
        return out


class DepthwiseBlock(nn.Module):
    """ReLU, depthwise convolution, 1x1 convolution, norm."""

    def __init__(self, channels: int, kernel: int, stride: int, dilation: int = 1) -> None:
        super().__init__()
        self.depthwise = conv(channels, channels, kernel, stride=stride, dilation=dilation, groups=channels)
        self.pointwise = conv(channels, channels, 1)
        self.norm = norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the same number of channels."""
        out: Tensor = self.norm(self.pointwise(self.depthwise(F.relu(x))))
        return out


class SeparableConv(nn.Module):
    """Two depthwise blocks."""

    def __init__(self, channels: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.first = DepthwiseBlock(channels, kernel, stride)
        self.second = DepthwiseBlock(channels, kernel, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the same number of channels."""
        out: Tensor = self.second(self.first(x))
        return out


def operation(name: str, channels: int, stride: int) -> nn.Module:
    """One operation of DARTS's eight."""
    modules: dict[str, nn.Module] = {
        "none": Zero(stride),
        "max_pool_3x3": Pool(nn.MaxPool2d(3, stride, 1), channels),
        "avg_pool_3x3": Pool(nn.AvgPool2d(3, stride, 1, count_include_pad=False), channels),
        "skip_connect": nn.Identity() if stride == 1 else FactorizedReduce(channels, channels),
        "sep_conv_3x3": SeparableConv(channels, 3, stride),
        "sep_conv_5x5": SeparableConv(channels, 5, stride),
        "dil_conv_3x3": DepthwiseBlock(channels, 3, stride, dilation=2),
        "dil_conv_5x5": DepthwiseBlock(channels, 5, stride, dilation=2),
    }
    return modules[name]


class TextbookCell(nn.Module):
    """A cell, edge after edge; its edges hold the operations that `table` names, every one of them for a supernet."""

    def __init__(
        self, table: Sequence[Sequence[str]], channels: tuple[int, int, int], reduction: bool, after_reduction: bool
    ) -> None:
        super().__init__()
        before_last, last, width = channels
        self.input0 = (FactorizedReduce if after_reduction else ReluConvNorm)(before_last, width)
        self.input1 = ReluConvNorm(last, width)
        self.nodes = next(n for n in range(1, len(table) + 1) if len(edge_ends(n)) == len(table))
        self.edges = nn.ModuleList(
            nn.ModuleDict({op: operation(op, width, 2 if reduction and source < 2 else 1) for op in ops})
            for ops, (_, source) in zip(table, edge_ends(self.nodes), strict=True)
        )

    def forward(self, s0: Tensor, s1: Tensor, gates: Tensor | None) -> Tensor:
        """The concatenated nodes; `gates` `[edges, ops]`, None for a child."""
        states = [self.input0(s0), self.input1(s1)]
        edge = 0
        for _ in range(self.nodes):
            total: Tensor | None = None
            for state in states:
                ops = self.edges[edge].values()  # type: ignore[operator]
                for column, op in enumerate(ops):
                    value = op(state) if gates is None else gates[edge, column] * op(state)
                    total = value if total is None else total + value
                edge += 1
            assert total is not None
            states.append(total)
        return torch.cat(states[2:], dim=1)


class TextbookNetwork(nn.Module):
    """Stem, cells, global average pool, linear head; see `metanas.spaces.network.CellNetwork`."""

    def __init__(
        self, stem: nn.Module, stem_channels: int, kinds: Sequence[str], tables: Tables, width: int, n_way: int
    ) -> None:
        super().__init__()
        self.stem = stem
        self.kinds = tuple(kinds)
        self.cells = nn.ModuleList()
        before_last = last = stem_channels
        after_reduction = False
        for kind in kinds:
            reduction = kind == "reduction"
            width *= 2 if reduction else 1
            cell = TextbookCell(tables[kind], (before_last, last, width), reduction, after_reduction)
            self.cells.append(cell)
            before_last, last, after_reduction = last, cell.nodes * width, reduction
        self.head = nn.Linear(last, n_way)

    def forward(self, x: Tensor, gates: Params | None = None) -> Tensor:
        """Logits `[n, n_way]`."""
        s0 = s1 = self.stem(x)
        for kind, cell in zip(self.kinds, self.cells, strict=True):
            s0, s1 = s1, cell(s0, s1, None if gates is None else gates[kind])
        logits: Tensor = self.head(s1.mean((2, 3)))
        return logits


class PooledStem(nn.Module):
    """T-NAS's stem; see `metanas.spaces.network.PooledStem`."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        middle = channels_out // 2
        self.conv1 = conv(channels_in, middle, 3)
        self.norm1 = norm(middle, affine=True)
        self.conv2 = conv(middle, channels_out, 3)
        self.norm2 = norm(channels_out, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        """Features of a quarter of the resolution."""
        x = F.relu(F.max_pool2d(self.norm1(self.conv1(x)), 2))
        return F.max_pool2d(self.norm2(self.conv2(x)), 2)


class PlainStem(nn.Module):
    """DARTS's stem for small images: a 3x3 convolution and a norm."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv1 = conv(channels_in, channels_out, 3)
        self.norm1 = norm(channels_out, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the full resolution."""
        out: Tensor = self.norm1(self.conv1(x))
        return out


def textbook_weights(weights: Params) -> Params:
    """Weights of our network under the names of the textbook's."""
    return {name.replace(".scale", ".weight").replace(".shift", ".bias"): w for name, w in weights.items()}
