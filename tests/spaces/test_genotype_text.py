"""The literature's genotype text: read, written, refused by name, and converted to choices."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metanas.errors import GenotypeError
from metanas.spaces.cell_genotype import OPERATIONS, CellGenotype, CellGraph, as_cells, as_choices
from metanas.spaces.darts import Darts
from metanas.spaces.genotype import random_genotype
from metanas.spaces.genotype_text import read_genotype, write_genotype
from metanas.spaces.space import CellEdge
from tasks.stream import stream

CELL = "[('sep_conv_3x3', 0), ('skip_connect', 1), ('max_pool_3x3', 2), ('dil_conv_5x5', 0)]"
GOOD = f"Genotype(normal={CELL}, normal_concat=[2, 3], reduce={CELL}, reduce_concat=[3])"


@st.composite
def cell_graphs(draw: st.DrawFn) -> CellGraph:
    nodes = range(2, 2 + draw(st.integers(1, 6)))
    edges = [
        CellEdge(draw(st.integers(0, node - 1)), node, draw(st.sampled_from(OPERATIONS)))
        for node in nodes
        for _ in range(2)
    ]
    concat = draw(st.lists(st.sampled_from(nodes), min_size=1, unique=True))
    return CellGraph(tuple(edges), tuple(concat))


@given(st.builds(CellGenotype, cell_graphs(), cell_graphs()))
def test_what_is_written_is_read_back(cells: CellGenotype) -> None:
    assert read_genotype(write_genotype(cells)) == cells


@settings(max_examples=50)
@given(st.text() | st.text(alphabet="Genotyp(nrmal=[]'02, _cdu)"))
def test_garbage_is_a_genotype_error(text: str) -> None:
    with pytest.raises(GenotypeError):
        read_genotype(text)


def test_pairs_lead_into_nodes_two_by_two() -> None:
    cells = read_genotype(GOOD)
    assert cells.normal == CellGraph(
        (
            CellEdge(0, 2, "sep_conv_3x3"),
            CellEdge(1, 2, "skip_connect"),
            CellEdge(2, 3, "max_pool_3x3"),
            CellEdge(0, 3, "dil_conv_5x5"),
        ),
        (2, 3),
    )
    assert cells.reduction == CellGraph(cells.normal.edges, (3,))


@pytest.mark.parametrize(
    "text",
    [
        f"DARTS_V2 = {GOOD}",
        f"\n  {GOOD}\n",
        GOOD.replace("normal_concat=[2, 3]", "normal_concat=range(2, 4)"),
        GOOD.replace("(", "[").replace(")", "]").replace("Genotype[", "Genotype(")[:-1] + ")",
        GOOD.replace("reduce_concat=[3]", "reduce_concat=(3,),"),
        GOOD.replace(", ", ",\n    "),
    ],
)
def test_other_ways_to_write_it_are_read(text: str) -> None:
    assert read_genotype(text) == read_genotype(GOOD)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("'skip_connect', 1", "'skip_conect', 1", r"^normal\[1\]: expected an operation out of .*, got 'skip_conect'$"),
        ("'skip_connect', 1", "'none', 1", r"^normal\[1\]: expected an operation .*, got 'none'"),
        (", ('skip_connect', 1)", "", "^normal: expected two edges for every node, got 3 edges"),
        ("'max_pool_3x3', 2", "'max_pool_3x3', 3", r"normal\[2\]: an edge into node 3 .* in 0..2, got 3; states 0"),
        ("'skip_connect', 1", "'skip_connect', -1", r"normal\[1\]: expected the number of a state, .* got '-1'"),
        ("'skip_connect', 1", "'skip_connect', True", r"normal\[1\]: expected the number .* got 'True'"),
        ("'skip_connect', 1", "'skip_connect', 1, 0.5", r"normal\[1\]: expected a pair"),
        ("'skip_connect', 1", "1, 'skip_connect'", r"normal\[1\]: expected a pair"),
        ("('skip_connect', 1)", "7", r"normal\[1\]: expected a pair .* got '7'"),
        (f"normal={CELL}", "normal=[]", "normal: expected two edges for every node, got 0"),
        (f"normal={CELL}", "normal=None", "normal: expected a list of pairs .* got 'None'"),
        (f"normal={CELL}", f"normal=list({CELL})", "normal: expected a list of pairs"),
        ("[2, 3]", "[2, 4]", r"normal_concat: expected nodes out of 2..3, .* got \[2, 4\]"),
        ("[2, 3]", "[1, 2]", r"normal_concat: expected nodes out of 2..3, .* got \[1, 2\]"),
        ("[2, 3]", "[2, 2]", "normal_concat: .* each at most once"),
        ("[2, 3]", "[]", "normal_concat: .* at least one"),
        ("[2, 3]", "range(2, 10**9)", "normal_concat: expected the number of a state"),
        ("[2, 3]", "range(2, 1000000000)", "normal_concat: expected nodes of the cell"),
        ("[2, 3]", "range(2, 99999999999999999999)", "normal_concat: expected nodes of the cell"),
        ("[2, 3]", "range(4)", "normal_concat: expected a list of nodes"),
        ("[3])", "[3], depth=8)", "expected the arguments normal, .* got depth; leave it out"),
        ("reduce_concat=[3]", "**more", r"expected the arguments normal, .* got \*\*"),
        ("reduce_concat=[3]", "normal=[]", "normal is given twice"),
        (", reduce_concat=[3]", "", "reduce_concat is missing"),
        ("normal=", "", r"Genotype\(...\): expected arguments by name"),
        ("Genotype", "genotypes.Genotype", r"expected Genotype\(normal=\[...\]"),
        ("Genotype", "eval", r"expected Genotype\(normal="),
        ("[3])", "[3]", "cannot read .*: '.*' was never closed"),
        ("[3])", "[3]); print(1)", "expected Genotype"),
        ("'sep_conv_3x3'", "'\\d'", r"normal\[0\]: expected an operation"),
    ],
)
def test_a_mistake_is_refused_with_its_place(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(GenotypeError, match=message) as caught:
        read_genotype(GOOD.replace(old, new, 1))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["(" * 5000, "-" * 15_000 + "1", "a" * 20_001, "\0", "x" + ".x" * 9000])
def test_hostile_text_is_refused(text: str) -> None:
    with pytest.raises(GenotypeError):
        read_genotype(text)


@given(st.integers(0, 2**31))
def test_choices_become_cells_and_come_back(seed: int) -> None:
    space = Darts(nodes=3)
    genotype = random_genotype(space, stream(seed, "genotype"))
    text = write_genotype(as_cells(space, genotype))
    assert as_choices(space, read_genotype(text)) == genotype


def test_the_order_of_a_nodes_edges_does_not_matter() -> None:
    space = Darts(nodes=2)
    cells = as_cells(space, (0, 1, 2, 2, 3, 4) * 2)
    a, b, c, d = cells.normal.edges
    swapped = cells._replace(normal=CellGraph((b, a, d, c), cells.normal.concat))
    assert as_choices(space, swapped) == as_choices(space, cells)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("'max_pool_3x3', 2", "'max_pool_3x3', 0", r"normal cell, node 3: .* two different states, got \[0, 0\]"),
        ("max_pool_3x3", "sep_conv_7x7", "normal cell: expected edges .* got 'sep_conv_7x7' from 2 to 3"),
        ("[2, 3]", "[3]", r"normal cell: the output of this space is all of its nodes, 2..3, got \[3\]"),
    ],
)
def test_cells_outside_a_space_are_refused(old: str, new: str, message: str) -> None:
    text = GOOD.replace("reduce_concat=[3]", "reduce_concat=[2, 3]")
    with pytest.raises(GenotypeError, match=message):
        as_choices(Darts(nodes=2), read_genotype(text.replace(old, new)))
    with pytest.raises(GenotypeError, match="normal cell: the output of this space is all of its nodes, 2..4"):
        as_choices(Darts(nodes=3), read_genotype(text))
