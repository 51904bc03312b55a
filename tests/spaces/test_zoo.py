"""Published genotypes: read, wired as their papers draw them, and found by name."""

import pytest

from metanas.errors import GenotypeError
from metanas.spaces.cell_genotype import as_cells, as_choices
from metanas.spaces.darts import Darts
from metanas.spaces.genotype_text import read_genotype, write_genotype
from metanas.spaces.zoo import ZOO, published

WIDER = {"nasnet_a", "amoebanet_a", "enas"}
"""Cells that DARTS's space does not hold."""


@pytest.mark.parametrize("name", ZOO)
def test_a_published_text_survives_reading_and_writing(name: str) -> None:
    assert read_genotype(write_genotype(published(name))) == published(name)


@pytest.mark.parametrize("name", sorted(set(ZOO) - WIDER))
def test_darts_space_holds_what_was_found_in_it(name: str) -> None:
    space = Darts()
    cells = published(name)
    again = as_cells(space, as_choices(space, cells))
    assert [sorted(cell.edges) for cell in again] == [sorted(cell.edges) for cell in cells]
    assert [cell.concat for cell in again] == [cell.concat for cell in cells]


@pytest.mark.parametrize("name", sorted(WIDER))
def test_other_spaces_output_the_nodes_that_no_edge_reads(name: str) -> None:
    for cell in published(name):
        read = {edge.source for edge in cell.edges}
        assert cell.concat == tuple(node for node in range(2, 7) if node not in read)
    with pytest.raises(GenotypeError):
        as_choices(Darts(nodes=5), published(name))


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(GenotypeError, match="expected a published genotype out of darts_v1, darts_v2, .* got 'darts'"):
        published("darts")
