"""A cell with two inputs whose nodes are concatenated (DARTS, arXiv 1806.09055, section 2.1).

States 0 and 1 are the outputs of the two previous cells, states 2.. the nodes.
"""

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from metanas.spaces.conv import join
from metanas.spaces.edges import Choice, Edges, Taken
from metanas.spaces.ops import OPS, FactorizedReduce, ReluConvNorm


class Cell(nn.Module):
    """One cell with the operations of `plan` on its edges.

    Args:
        plan: for every edge, in the order of `edge_ends`, the names of the operations to build, `none` left out.
        primitives: all names in the order of the gate columns.
        channels: of the two inputs and of every node.
        reduction: whether edges from the inputs halve the resolution.
        after_reduction: whether the previous cell was a reduction, so that input 0 is twice as large as input 1.
        partial: see `Edges`.
    """

    def __init__(
        self,
        plan: Sequence[Sequence[str]],
        primitives: Sequence[str],
        channels: tuple[int, int, int],
        *,
        reduction: bool,
        after_reduction: bool,
        partial: int = 1,
    ) -> None:
        super().__init__()
        before_last, last, width = channels
        shrink = FactorizedReduce if after_reduction else ReluConvNorm
        self.input0 = shrink(before_last, width)
        self.input1 = ReluConvNorm(last, width)
        self.edges = Edges(plan, primitives, OPS, width=width, stride=2 if reduction else 1, partial=partial)

    def forward(
        self,
        s0: Tensor,
        s1: Tensor,
        taken: Mapping[Choice, Taken] | None,
        rows: int | None = None,
        *,
        passed: Tensor | None = None,
        after_skip: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """The concatenated nodes, `[n, nodes * width, h', w']`, or `[n, tasks * nodes * width, h', w']`.

        Args:
            s0: output of the cell before the previous one.
            s1: output of the previous cell.
            taken: see `Edges.forward`.
            rows: see `Norm`.
            passed: see `Edges.forward`.
            after_skip: see `Edges.forward`.
        """
        inputs = [self.input0(s0, rows), self.input1(s1, rows)]
        nodes = self.edges(inputs, taken, rows, passed=passed, after_skip=after_skip)
        return join(nodes, self.input1.conv.tasks)
