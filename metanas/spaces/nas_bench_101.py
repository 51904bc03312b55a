"""The space of NAS-Bench-101 (Ying et al. 2019, arXiv 1902.09635): 423,624 different cells in a fixed network.

It has networks and no supernet: the channels of a vertex depend on how many others feed the output, so the weights of
two cells have different shapes and no set of weights contains them all. It implements `ArchitectureSpace`.

Deviations: norms use the batch at hand, with eps 1e-5, and maps of odd size are rounded up when they are halved.
"""

from dataclasses import dataclass
from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metanas.errors import ConfigError, GenotypeError
from metanas.params import Params
from metanas.spaces.conv import Conv, dense, fold, join
from metanas.spaces.genotype import check_genotype, random_genotype
from metanas.spaces.graph_cell import (
    CONV1,
    CONV3,
    INPUT,
    MOST_VERTICES,
    OPS,
    OUTPUT,
    GraphCell,
    graph_cell,
    vertex_channels,
)
from metanas.spaces.head import LinearHead
from metanas.spaces.norm import Norm
from metanas.spaces.space import Decision, Genotype
from tasks.episode import TaskSpec

EDGES = tuple(combinations(range(MOST_VERTICES), 2))
"""(source, target) of every possible edge."""

DECISIONS = (
    *(Decision(f"{target}<-{source}", ("absent", "present")) for source, target in EDGES),
    *(Decision(f"vertex {vertex}", OPS) for vertex in range(1, MOST_VERTICES - 1)),
)

STACKS = 3


@dataclass(frozen=True)
class NasBench101:
    """NAS-Bench-101's space; implements `ArchitectureSpace`. Not every genotype is a cell: see `cell`."""

    width: int = 128
    """Channels of the first stack; the second and third have two and four times as many."""
    cells_a_stack: int = 3
    """Cells of each of the three stacks."""

    def __post_init__(self) -> None:
        if not MOST_VERTICES <= self.width <= 4096:
            raise ConfigError(f"width must be in {MOST_VERTICES}..4096, a channel for every vertex, got {self.width}")
        if not 1 <= self.cells_a_stack <= 100:
            raise ConfigError(
                f"cells_a_stack must be in 1..100, got {self.cells_a_stack}; the published networks have 3"
            )

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """21 edges, then five operations."""
        return DECISIONS

    def cell(self, genotype: Genotype) -> GraphCell:
        """The pruned cell; raises `GenotypeError` where input and output are not joined, or by too many edges."""
        check_genotype(self, genotype)
        matrix = [[0] * MOST_VERTICES for _ in range(MOST_VERTICES)]
        for (source, target), bit in zip(EDGES, genotype[: len(EDGES)], strict=True):
            matrix[source][target] = bit
        return graph_cell(matrix, [INPUT, *(OPS[choice] for choice in genotype[len(EDGES) :]), OUTPUT])

    def genotype(self, cell: GraphCell) -> Genotype:
        """A genotype of `cell`, whose missing vertices are dead; `self.cell` gives the cell back."""
        place = [*range(len(cell.ops) - 1), MOST_VERTICES - 1]
        present = {(place[source], place[target]) for source, target in cell.edges}
        ops = [OPS.index(op) for op in cell.ops[1:-1]]
        dead = [0] * (MOST_VERTICES - 2 - len(ops))
        return (*(int(ends in present) for ends in EDGES), *ops, *dead)

    def random(self, rng: torch.Generator) -> Genotype:
        """Edges and operations drawn uniformly until they are a cell: the paper's random search, section 4.2."""
        while True:
            genotype = random_genotype(self, rng)
            try:
                self.cell(genotype)
            except GenotypeError:
                continue
            return genotype

    def child(self, genotype: Genotype, spec: TaskSpec) -> nn.Module:
        """See `ArchitectureSpace`."""
        return self.network(self.cell(genotype), spec)

    def network(self, cell: GraphCell, spec: TaskSpec) -> nn.Module:
        """The network of a cell on the `meta` device."""
        with torch.device("meta"):
            return StackedNetwork(cell, spec.image[0], spec.n_way, width=self.width, cells=self.cells_a_stack)


class ConvNormRelu(nn.Module):
    """Convolution, norm with scale and shift, ReLU."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        super().__init__()
        self.conv = Conv(channels_in, channels_out, kernel)
        self.norm = Norm(channels_out, affine=True)

    def forward(self, x: Tensor, rows: int | None = None) -> Tensor:
        """Features `[n, channels_out, h, w]`."""
        return F.relu(self.norm(dense(self.conv(x)), rows))


class VertexCell(nn.Module):
    """One cell: a vertex sums the vertices and the projected input that feed it, then applies its operation."""

    def __init__(self, cell: GraphCell, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.cell = cell
        self.channels = vertex_channels(cell, channels_in, channels_out)
        last = len(cell.ops) - 1
        # The input is projected wherever it goes, to the width of the vertex there.
        self.projections = nn.ModuleDict(
            {str(v): ConvNormRelu(channels_in, self.channels[v], 1) for v in range(1, last + 1) if cell.matrix[0][v]}
        )
        kernels = {CONV3: 3, CONV1: 1}
        self.vertices = nn.ModuleDict(
            {
                str(v): ConvNormRelu(self.channels[v], self.channels[v], kernels[op])
                for v, op in enumerate(cell.ops)
                if op in kernels
            }
        )

    def forward(self, x: Tensor, rows: int | None = None) -> Tensor:
        """Features `[n, channels_out, h, w]`."""
        last = len(self.cell.ops) - 1
        states = [x]
        for vertex in range(1, last):
            # A vertex may be one channel narrower than one that feeds it; the last channel is left out then.
            parts = [states[s][:, : self.channels[vertex]] for s in self.cell.sources(vertex) if s]
            total = sum(parts[1:], parts[0]) if parts else None
            if self.cell.matrix[0][vertex]:
                projected = self.projections[str(vertex)](x, rows)
                total = projected if total is None else total + projected
            assert total is not None  # a pruned cell has no vertex without a source
            is_conv = str(vertex) in self.vertices
            states.append(self.vertices[str(vertex)](total, rows) if is_conv else F.max_pool2d(total, 3, 1, 1))
        joined = [states[source] for source in self.cell.sources(last) if source]
        out = join(joined, 1) if joined else None
        if self.cell.matrix[0][last]:
            projected = self.projections[str(last)](x, rows)
            out = projected if out is None else out + projected
        assert out is not None
        return out


class StackedNetwork(nn.Module):
    """The macro skeleton: 3x3 stem, three stacks of cells, 2x2 max pooling and twice the width between them."""

    def __init__(self, cell: GraphCell, channels: int, n_way: int, *, width: int, cells: int) -> None:
        super().__init__()
        self.stem = ConvNormRelu(channels, width, 3)
        widths = [width * 2**stack for stack in range(STACKS)]
        before = [width, *widths]
        self.stacks = nn.ModuleList(
            nn.ModuleList(VertexCell(cell, wide if i else before[stack], wide) for i in range(cells))
            for stack, wide in enumerate(widths)
        )
        self.head = LinearHead(widths[-1], n_way)

    def forward(
        self, x: Tensor, gates: Params | None = None, *, sparse: bool = False, rows: int | None = None
    ) -> Tensor:
        """Logits `[n, n_way]` for images `[n, c, h, w]`; a child has no gates. `rows` as in `Norm`."""
        del gates, sparse
        x = self.stem(dense(fold(x)), rows)
        for place, stack in enumerate(self.stacks):
            x = F.max_pool2d(x, 2, ceil_mode=True) if place else x
            assert isinstance(stack, nn.ModuleList)
            for cell in stack:
                x = cell(x, rows)
        logits: Tensor = self.head(x)
        return logits
