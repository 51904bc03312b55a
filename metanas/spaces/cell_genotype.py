"""Cells as publications give them: two edges a node, any two, and a list of the nodes that make the output.

This is wider than the choices of a `CellSpace`: NASNet and AmoebaNet have five nodes, operations of their own, edges
that share a source, and in their output only the nodes without a reader. What fits converts to choices and back.
"""

from typing import NamedTuple

from metanas.errors import GenotypeError
from metanas.spaces.cell_choices import NONE
from metanas.spaces.cell_space import KINDS, PRIMITIVES, CellSpace
from metanas.spaces.space import CellEdge, Genotype

OPERATIONS = (*(op for op in PRIMITIVES if op != NONE), "sep_conv_7x7", "conv_7x1_1x7")
"""The operations of published cells."""


class CellGraph(NamedTuple):
    """One cell: states 0 and 1 are its inputs, 2.. its nodes; a node sums its edges."""

    edges: tuple[CellEdge, ...]
    """Two a node, node after node."""
    concat: tuple[int, ...]
    """The nodes whose channels make the output, in this order."""


class CellGenotype(NamedTuple):
    """The two cells of a network."""

    normal: CellGraph
    reduction: CellGraph


def check_cell(cell: CellGraph, name: str) -> None:
    """Raises `GenotypeError` for a cell that cannot be built; places are called `name[3]` and `name_concat`."""
    if not cell.edges or len(cell.edges) % 2:
        raise GenotypeError(
            f"{name}: expected two edges for every node, got {len(cell.edges)} edges; add or remove the odd one"
        )
    for position, edge in enumerate(cell.edges):
        place, node = f"{name}[{position}]", 2 + position // 2
        if edge.op not in OPERATIONS:
            raise GenotypeError(f"{place}: expected an operation out of {', '.join(OPERATIONS)}, got {edge.op!r}")
        if edge.target != node:
            raise GenotypeError(f"{place}: expected an edge into node {node}, got one into {edge.target}; sort by node")
        if not 0 <= edge.source < node:
            raise GenotypeError(
                f"{place}: an edge into node {node} must come from a state in 0..{node - 1}, got {edge.source}; "
                "states 0 and 1 are the cell's inputs, 2.. its nodes"
            )
    nodes = range(2, 2 + len(cell.edges) // 2)
    if not cell.concat or len(set(cell.concat)) < len(cell.concat) or not set(cell.concat) <= set(nodes):
        raise GenotypeError(
            f"{name}_concat: expected nodes out of {nodes[0]}..{nodes[-1]}, each at most once and at least one, "
            f"got {list(cell.concat)}"
        )


def as_cells(space: CellSpace, genotype: Genotype) -> CellGenotype:
    """The cells of `genotype`, whose nodes are all in the output; raises `GenotypeError` for a wrong genotype."""
    concat = tuple(range(2, 2 + space.nodes))
    normal, reduction = (CellGraph(space.cells(genotype)[kind], concat) for kind in KINDS)
    return CellGenotype(normal, reduction)


def as_choices(space: CellSpace, cells: CellGenotype) -> Genotype:
    """The genotype of `space` whose cells these are, the inverse of `as_cells` but for the order of edges.

    Raises:
        GenotypeError: for cells outside the space: another number of nodes, a node that reads one state twice, an
            operation that the space lacks, or an output that leaves nodes out.
    """
    for kind, cell in zip(KINDS, cells, strict=True):
        if sorted(cell.concat) != list(range(2, 2 + space.nodes)):
            raise GenotypeError(
                f"{kind} cell: the output of this space is all of its nodes, 2..{space.nodes + 1}, got "
                f"{list(cell.concat)}; build such cells with metanas.networks"
            )
    return space.choices.genotype({kind: cell.edges for kind, cell in zip(KINDS, cells, strict=True)})
