"""A derived network: stem, cells, classifier, and in training an auxiliary head."""

from collections.abc import Callable, Iterable

from torch import Tensor, nn

from metanas.errors import ConfigError
from metanas.networks.auxiliary import AuxiliaryHead
from metanas.networks.cell import Cell
from metanas.networks.drop_path import DropPath
from metanas.networks.prediction import Prediction
from metanas.spaces.cell_genotype import CellGenotype
from metanas.spaces.darts import stacked_kinds


class DerivedNetwork(nn.Module):
    """Cells with reductions at one and two thirds of the depth.

    Args:
        stem: maps images to the two inputs of the first cell.
        stem_channels: the channels of each of them.
        genotype: the two cells.
        depth: number of cells, 3 or more.
        width: channels of a node in the first cells, even; each reduction doubles them.
        n_classes: classes.
        stem_reduces: whether the stem's first output is twice as large as its second.
        auxiliary: builds the head on the cell at two thirds of the depth from its channels; None for no head.

    Raises:
        ConfigError: for a depth below 3, where every cell would be a reduction, or an odd width.
        GenotypeError: for cells that cannot be built.
    """

    def __init__(
        self,
        stem: nn.Module,
        stem_channels: int,
        genotype: CellGenotype,
        *,
        depth: int,
        width: int,
        n_classes: int,
        stem_reduces: bool = False,
        auxiliary: Callable[[int], AuxiliaryHead] | None = None,
    ) -> None:
        super().__init__()
        if depth < 3:
            raise ConfigError(f"the depth of a derived network must be at least 3, got {depth}")
        self.stem = stem
        self.auxiliary: AuxiliaryHead | None = None
        self.tapped = 2 * depth // 3
        """The cell that the auxiliary head reads."""
        cells: list[Cell] = []
        before_last = last = stem_channels
        after_reduction = stem_reduces
        for position, kind in enumerate(stacked_kinds(depth)):
            reduction = kind == "reduction"
            width *= 2 if reduction else 1
            graph = genotype.reduction if reduction else genotype.normal
            cells.append(Cell(graph, (before_last, last, width), reduction=reduction, after_reduction=after_reduction))
            before_last, last, after_reduction = last, width * len(graph.concat), reduction
            if auxiliary is not None and position == self.tapped:
                self.auxiliary = auxiliary(last)
        self.cells: Iterable[Cell] = nn.ModuleList(cells)  # type: ignore[assignment]
        self.head = nn.Linear(last, n_classes)

    def forward(self, x: Tensor, drop_path: DropPath | None = None) -> Prediction:
        """Logits for images `[n, c, h, w]`; `drop_path` drops edges in training mode, None drops nothing."""
        s0, s1 = self.stem(x)
        auxiliary = None
        for position, cell in enumerate(self.cells):
            s0, s1 = s1, cell(s0, s1, drop_path)
            if self.auxiliary is not None and self.training and position == self.tapped:
                auxiliary = self.auxiliary(s1)
        return Prediction(self.head(s1.mean((2, 3))), auxiliary)
