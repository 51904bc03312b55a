"""The cell space of NAS-Bench-201 (Dong & Yang 2020, arXiv 2001.00326): five operations on six edges, 15,625 cells.

`NasBench201()` has the published size: its children have the parameters and multiply-accumulates of the benchmark's
table. `NasBench201(width=8, cells_a_stage=1)` is a supernet for a CPU.

An edge whose gate has chosen `none` computes nothing and sends no gradient: once straight-through gates have cut the
output from the input, a task only guesses, and only the noise of a temperature above 0 finds another cell. `connected`
spaces prefer the likeliest cell among those that are not cut.
"""

from dataclasses import dataclass
from itertools import combinations

import torch
from torch import nn

from metanas.constant import constant
from metanas.errors import ConfigError, GenotypeError
from metanas.params import Params
from metanas.spaces.arch_string import NODES, read_arch, write_arch
from metanas.spaces.classifier import classifier
from metanas.spaces.edges import edge_ends
from metanas.spaces.genotype import check_genotype
from metanas.spaces.head import HeadName
from metanas.spaces.ops import Identity, Ops, Pool, ReluConvNorm
from metanas.spaces.space import CellEdge, Decision, Genotype, Wiring
from metanas.spaces.staged import StagedNetwork
from tasks.episode import TaskSpec

PRIMITIVES = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""The operations in the published order."""

OPS: Ops = {
    "skip_connect": lambda c, s: Identity(),
    "nor_conv_1x1": lambda c, s: ReluConvNorm(c, c, 1, stride=s, affine=True),
    "nor_conv_3x3": lambda c, s: ReluConvNorm(c, c, 3, stride=s, affine=True),
    "avg_pool_3x3": lambda c, s: Pool(s, kind="average", norm=None),
}
"""All operations but `none`; every edge has stride 1."""

KIND = "searched"
"""There is one kind of cell; this is the name of its gates."""

STAGES = 3

EDGES = tuple((source, node + 1) for node, source in edge_ends(NODES, inputs=1))
"""(source, target) of every edge, in the order of a genotype."""

PATHS = tuple(
    tuple(EDGES.index(step) for step in zip((0, *stops), (*stops, NODES), strict=True))
    for count in range(NODES)
    for stops in combinations(range(1, NODES), count)
)
"""The edges of every path from the input of a cell to its output, short ones first."""

ON_PATH = tuple(tuple(float(edge in path) for edge in range(len(EDGES))) for path in PATHS)
"""For every path, which edges are on it."""

DECISIONS = tuple(Decision(f"{target}<-{source}", PRIMITIVES) for source, target in EDGES)


@dataclass(frozen=True)
class NasBench201:
    """NAS-Bench-201's space; implements `SearchSpace`.

    Deviation: the supernet's norms have scale and shift, as the published networks have, so that a child is the
    published network; the supernets of the paper's one-shot baselines have none.
    """

    width: int = 16
    """Channels of the first stage; the second and third have two and four times as many."""
    cells_a_stage: int = 5
    """Cells of each of the three stages."""
    head: HeadName = "linear"
    """The classifier."""
    connected: bool = False
    """Whether logits prefer the likeliest cell whose input reaches its output, where the published rule takes the
    strongest operation of every edge. `decode` then inverts `encode` for connected cells alone."""

    def __post_init__(self) -> None:
        if not 1 <= self.width <= 4096:
            raise ConfigError(f"space.width must be in 1..4096, got {self.width}")
        if not 1 <= self.cells_a_stage <= 100:
            raise ConfigError(f"space.cells must be in 1..100, got {self.cells_a_stage}; the published networks have 5")

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """See `SearchSpace`: one operation an edge."""
        return DECISIONS

    @property
    def primitives(self) -> tuple[str, ...]:
        """See `SearchSpace`."""
        return PRIMITIVES

    @property
    def wiring(self) -> Wiring:
        """See `SearchSpace`."""
        return Wiring(inputs=1, nodes=NODES, outputs=(NODES,), first_node=1)

    def supernet(self, spec: TaskSpec) -> nn.Module:
        """See `SearchSpace`."""
        return self._network([list(OPS)] * len(EDGES), spec)

    def child(self, genotype: Genotype, spec: TaskSpec) -> nn.Module:
        """See `SearchSpace`. Edges that cannot reach the output are built and executed, as in the benchmark."""
        return self._network([[op] * (op in OPS) for op in self.ops(genotype)], spec)

    def logits(self) -> Params:
        """See `SearchSpace`."""
        return {KIND: torch.zeros(len(EDGES), len(PRIMITIVES))}

    def encode(self, genotype: Genotype) -> Params:
        """See `SearchSpace`."""
        check_genotype(self, genotype)
        return {KIND: torch.eye(len(PRIMITIVES))[list(genotype)]}

    def harden(self, arch: Params) -> Params:
        """See `SearchSpace`: the strongest operation of each edge, `none` among them, but for what `connected` opens;
        ties go to the earlier one.
        """
        table = self._table(arch).detach()
        return {KIND: torch.zeros_like(table).scatter(-1, self._preferred(table), 1.0)}

    def decode(self, arch: Params) -> Genotype:
        """See `SearchSpace`."""
        return tuple(self._preferred(self._table(arch).detach())[:, 0].tolist())

    def cells(self, genotype: Genotype) -> dict[str, tuple[CellEdge, ...]]:
        """See `SearchSpace`; all six edges, `none` among their operations."""
        return {KIND: tuple(CellEdge(*ends, op) for ends, op in zip(EDGES, self.ops(genotype), strict=True))}

    def ops(self, genotype: Genotype) -> tuple[str, ...]:
        """The operation of each edge."""
        check_genotype(self, genotype)
        return tuple(PRIMITIVES[choice] for choice in genotype)

    def write(self, genotype: Genotype) -> str:
        """The architecture string of a genotype; see `arch_string`."""
        return write_arch(self.ops(genotype))

    def read(self, text: str) -> Genotype:
        """The genotype of an architecture string; raises `GenotypeError` where it is none."""
        return tuple(PRIMITIVES.index(op) for op in read_arch(text, PRIMITIVES))

    def _table(self, arch: Params) -> torch.Tensor:
        if set(arch) != {KIND}:
            raise GenotypeError(
                f"nas_bench_201 has one kind of cell, {KIND!r}, got logits or gates for "
                f"{', '.join(map(repr, arch)) or 'none'}; choose a space with these kinds of cells"
            )
        return arch[KIND]

    def _preferred(self, table: torch.Tensor) -> torch.Tensor:
        """The column of each edge's operation `[..., edges, 1]`: the strongest one, but opened along one path.

        A path costs the logits that its edges give up where they would rather carry `none`; the cheapest one is opened,
        which changes nothing where the cell is connected as it is.
        """
        strongest = _strongest(table)
        if not self.connected:
            return strongest
        present = _strongest(table[..., 1:]) + 1  # the first column is `none`
        price = (table.gather(-1, strongest) - table.gather(-1, present))[..., 0]
        on_path = constant(ON_PATH, table.dtype, table.device)
        cheapest = _strongest(-(price @ on_path.mT))[..., 0]
        return torch.where(on_path[cheapest][..., None] > 0, present, strongest)

    def _network(self, plan: list[list[str]], spec: TaskSpec) -> nn.Module:
        maps = (-(-spec.image[1] // 4), -(-spec.image[2] // 4))  # two blocks halve the resolution, rounding up
        with torch.device("meta"):
            return StagedNetwork(
                spec.image[0],
                plan=plan,
                primitives=PRIMITIVES,
                ops=OPS,
                width=self.width,
                stages=STAGES,
                cells=self.cells_a_stage,
                kind=KIND,
                head=lambda channels: classifier(self.head, (channels, *maps), spec.n_way),
            )


def _strongest(table: torch.Tensor) -> torch.Tensor:
    """The first of the largest columns `[..., edges, 1]`; max and argmax promise nothing about ties."""
    return table.sort(dim=-1, descending=True, stable=True).indices[..., :1]
