"""A cell of a derived network: the operations of one `CellGraph`, two a node (DARTS, arXiv 1806.09055, section 2.1)."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from metanas.errors import ConfigError
from metanas.networks.drop_path import DropPath
from metanas.networks.ops import OPS, FactorizedReduce, relu_conv_norm
from metanas.spaces.cell_genotype import CellGraph, check_cell


class Cell(nn.Module):
    """One cell.

    Args:
        graph: its edges, and the nodes that make its output.
        channels: of the two inputs and of every node.
        reduction: whether edges from the inputs halve the resolution.
        after_reduction: whether the previous cell was a reduction, so that input 0 is twice as large as input 1.

    Raises:
        GenotypeError: for a graph that cannot be built.
        ConfigError: for an odd width, which no factorised reduction can give.
    """

    def __init__(
        self, graph: CellGraph, channels: tuple[int, int, int], *, reduction: bool, after_reduction: bool
    ) -> None:
        super().__init__()
        check_cell(graph, "reduce" if reduction else "normal")
        before_last, last, width = channels
        if width < 2 or width % 2:
            raise ConfigError(f"the width of a derived network must be even and at least 2, got {width}")
        shrink = FactorizedReduce if after_reduction else relu_conv_norm
        self.input0 = shrink(before_last, width)
        self.input1 = relu_conv_norm(last, width)
        self.edges: Iterable[nn.Module] = nn.ModuleList(
            OPS[edge.op](width, 2 if reduction and edge.source < 2 else 1) for edge in graph.edges
        )
        self.graph = graph

    def forward(self, s0: Tensor, s1: Tensor, drop_path: DropPath | None = None) -> Tensor:
        """The concatenated nodes, `[n, len(graph.concat) * width, h', w']`.

        Args:
            s0: output of the cell before the previous one.
            s1: output of the previous cell.
            drop_path: drops edges in training mode; None drops nothing.
        """
        states = [self.input0(s0), self.input1(s1)]
        values: list[Tensor] = []
        for edge, op in zip(self.graph.edges, self.edges, strict=True):
            value = op(states[edge.source])
            if drop_path is not None and self.training and not isinstance(op, nn.Identity):
                value = drop_path(value)
            values.append(value)
            if len(values) == 2:
                states.append(values[0] + values[1])
                values = []
        return torch.cat([states[node] for node in self.graph.concat], dim=1)
