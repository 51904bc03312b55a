import random
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from metanas.errors import GenotypeError
from metanas.spaces.draw import CellEdge, Wiring, cells_png, draw_cells
from metanas.spaces.staircase import Box, Wire, lay_out

OPS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
    "none",
)


def random_cell(seed: int, n_nodes: int) -> list[CellEdge]:
    """Two edges into every node, from any earlier states, the same one twice included."""
    rng = random.Random(seed)
    return [CellEdge(rng.randrange(t), t, rng.choice(OPS)) for t in range(2, n_nodes + 2) for _ in range(2)]


def overlap(a: Box, b: Box) -> bool:
    return (
        abs(a.middle[0] - b.middle[0]) * 2 < a.width + b.width
        and abs(a.middle[1] - b.middle[1]) * 2 < a.height + b.height
    )


def crosses(wire: Wire, box: Box) -> bool:
    (x, y), (end_x, end_y) = wire.start, wire.end
    legs = [(x, y, x, end_y), (x, end_y, end_x, end_y)]
    inner = (box.x + 1, box.y + 1, box.x + box.width - 1, box.y + box.height - 1)
    return any(
        min(x0, x1) < inner[2] and max(x0, x1) > inner[0] and min(y0, y1) < inner[3] and max(y0, y1) > inner[1]
        for x0, y0, x1, y1 in legs
    )


@pytest.mark.parametrize("n_nodes", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("seed", range(10))
def test_no_boxes_overlap_and_no_wire_hides_behind_one(n_nodes: int, seed: int) -> None:
    panel = lay_out("normal", random_cell(seed, n_nodes), Wiring(2, n_nodes))
    assert not [pair for pair in combinations(panel.boxes, 2) if overlap(*pair)]
    assert not [(wire, box) for wire in panel.wires for box in panel.boxes if crosses(wire, box)]
    assert all(box.x >= 0 and box.x + box.width <= panel.width for box in panel.boxes)
    assert all(box.y >= 0 and box.y + box.height <= panel.height for box in panel.boxes)


def test_the_overlap_check_sees_an_overlap() -> None:
    assert overlap(Box(0, 0, 10, 10, "a"), Box(9, 9, 10, 10, "b"))
    assert crosses(Wire((5, -5), (5, 20), "#000"), Box(0, 0, 10, 10, "a"))


def test_every_edge_is_drawn_with_its_ends() -> None:
    cells = {"normal": random_cell(0, 4), "reduction": random_cell(1, 4)}
    svg = draw_cells(cells, Wiring(2, 4))
    for source, target, op in cells["normal"] + cells["reduction"]:
        start = f"c_{{k-{2 - source}}}" if source < 2 else f"node {source - 2}"
        assert f"{start} \N{RIGHTWARDS ARROW} node {target - 2}: {op}" in svg
    assert "normal cell" in svg
    assert "reduction cell" in svg


def test_the_text_is_well_formed_and_self_contained() -> None:
    svg = draw_cells({"normal": random_cell(0, 3)}, Wiring(2, 3), "glyphs")
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert svg.count("http") == 1
    assert "href" not in svg


def test_the_legend_names_the_families_in_use() -> None:
    svg = draw_cells({"normal": [CellEdge(0, 2, "sep_conv_3x3"), CellEdge(1, 2, "skip_connect")]}, Wiring(2, 1))
    assert "separable convolution" in svg
    assert "skip connection" in svg
    assert "pooling" not in svg


def test_names_are_escaped_and_long_ones_are_cut() -> None:
    svg = draw_cells({"<b>": [CellEdge(0, 2, "<script>alert(1)</script>")]}, Wiring(2, 1), "<script>")
    assert "<script>" not in svg
    assert "<b>" not in svg
    assert "&lt;script&gt;" in svg
    ElementTree.fromstring(svg)


def test_small_cells_stand_side_by_side_and_large_ones_below_each_other() -> None:
    def size(n_nodes: int) -> tuple[float, float]:
        cells = {"normal": random_cell(0, n_nodes), "reduction": random_cell(1, n_nodes)}
        root = ElementTree.fromstring(draw_cells(cells, Wiring(2, n_nodes)))
        return float(root.attrib["width"]), float(root.attrib["height"])

    assert size(2)[0] > size(2)[1] * 2
    assert size(4)[0] < size(4)[1] * 1.2


@pytest.mark.parametrize(
    "edge", [CellEdge(2, 2, "none"), CellEdge(0, 5, "none"), CellEdge(0, 1, "none"), CellEdge(-1, 2, "none")]
)
def test_an_edge_that_leads_nowhere_is_refused(edge: CellEdge) -> None:
    with pytest.raises(GenotypeError, match=r"expected edges .* 2\.\.4, got .* normal cell; check the wiring"):
        draw_cells({"normal": [edge]}, Wiring(2, 3))


def test_the_png_has_two_pixels_per_unit(tmp_path: Path) -> None:
    cells = {"normal": [*random_cell(0, 2)[:3], CellEdge(1, 3, "$broken_{math")]}
    root = ElementTree.fromstring(draw_cells(cells, Wiring(2, 2), "a title"))
    cells_png(cells, Wiring(2, 2), tmp_path / "cells" / "a.png", "a title")
    with Image.open(tmp_path / "cells" / "a.png") as picture:
        width, height = picture.size
        assert len(picture.convert("RGB").getcolors(1_000_000) or ()) > 20
    assert abs(width - 2 * float(root.attrib["width"])) <= 2
    assert abs(height - 2 * float(root.attrib["height"])) <= 2


ONE_INPUT = Wiring(inputs=1, nodes=3, outputs=(3,), first_node=1)
SIX_EDGES = [CellEdge(source, target, "nor_conv_3x3") for target in (1, 2, 3) for source in range(target)]


def test_a_cell_of_one_input_ends_in_its_last_node() -> None:
    panel = lay_out("cell", SIX_EDGES, ONE_INPUT)
    *boxes, out = panel.boxes
    states = [box for box in boxes if not box.family]
    assert [(box.label, box.sub) for box in states] == [("c", "k\N{MINUS SIGN}1"), ("1", ""), ("2", ""), ("3", "")]
    assert [box.hint for box in boxes if box.family][0] == "c_{k-1} \N{RIGHTWARDS ARROW} node 1: nor_conv_3x3"
    assert [wire.start[0] for wire in panel.wires if wire.end[0] == out.x] == [states[-1].x + states[-1].width]
    assert out.hint == "node 3"
    assert not [pair for pair in combinations(panel.boxes, 2) if overlap(*pair)]
    assert not [(wire, box) for wire in panel.wires for box in panel.boxes if crosses(wire, box)]


def test_an_edge_into_the_only_input_is_refused() -> None:
    with pytest.raises(GenotypeError, match=r"into one of 1\.\.3, got 0 to 0"):
        draw_cells({"cell": [CellEdge(0, 0, "none")]}, ONE_INPUT)


def test_outputs_are_the_nodes_that_are_named() -> None:
    """As in AmoebaNet, whose cells leave some nodes out."""
    panel = lay_out("cell", SIX_EDGES, ONE_INPUT._replace(outputs=(1, 3)))
    *boxes, out = panel.boxes
    first, _, last = [box for box in boxes if not box.family][1:]
    ends = [wire.start for wire in panel.wires if wire.end[0] == out.x]
    assert ends == [(box.x + box.width, box.middle[1]) for box in (first, last)]
    assert out.hint == "node 1, node 3, concatenated"
    assert not [(wire, box) for wire in panel.wires for box in panel.boxes if crosses(wire, box)]
