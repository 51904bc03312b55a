"""NAS-Bench-101: the published example, hashes that know isomorphic cells, channels, and every wrong cell named."""

import json
from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from metanas.errors import ConfigError, GenotypeError
from metanas.objective import Classification
from metanas.params import MetaParams
from metanas.spaces.cost import cost
from metanas.spaces.graph_cell import (
    CONV1,
    CONV3,
    POOL3,
    GraphCell,
    graph_cell,
    graph_hash,
    read_graph_cell,
    vertex_channels,
    write_graph_cell,
)
from metanas.spaces.nas_bench_101 import NasBench101
from metanas.spaces.space import ArchitectureSpace, SearchSpace
from tasks.episode import TaskSpec
from tasks.stream import stream

SPEC = TaskSpec(10, 1, 1, (3, 32, 32))


def cell_of(n: int, edges: str, *ops: str) -> GraphCell:
    """A cell of `n` vertices from edges written like "01 12"."""
    ends = {(int(edge[0]), int(edge[1])) for edge in edges.split()}
    return graph_cell([[int((i, j) in ends) for j in range(n)] for i in range(n)], ["input", *ops, "output"])


INCEPTION = cell_of(7, "01 02 03 05 16 26 34 46 56", CONV1, CONV3, CONV3, CONV3, POOL3)


def test_the_inception_like_cell_has_the_published_size_and_hash() -> None:
    """The example of the benchmark's own introduction: 2,694,282 trainable parameters."""
    assert cost(NasBench101().network(INCEPTION, SPEC), SPEC).params == 2_694_282
    assert graph_hash(INCEPTION) == "28cfc7874f6d200472e1a9dcd8650aa0"


def test_the_table_lists_that_cell_with_its_vertices_in_another_order() -> None:
    listed = cell_of(7, "01 02 03 04 16 26 36 45 56", CONV3, CONV1, POOL3, CONV3, CONV3)
    assert listed != INCEPTION
    assert graph_hash(listed) == graph_hash(INCEPTION)
    assert cost(NasBench101().network(listed, SPEC), SPEC) == cost(NasBench101().network(INCEPTION, SPEC), SPEC)


def test_the_hash_is_the_same_for_every_order_of_the_vertices_and_no_other_cell() -> None:
    ends, ops = [(0, 1), (0, 2), (1, 3), (2, 3), (2, 4), (3, 4)], {1: CONV3, 2: POOL3, 3: CONV1}
    seen = set()
    for order in permutations((1, 2, 3)):
        new = {0: 0, 4: 4, **dict(zip((1, 2, 3), order, strict=True))}
        moved = {(new[i], new[j]) for i, j in ends}
        if all(i < j for i, j in moved):
            names = [ops[old] for old in sorted(ops, key=new.__getitem__)]
            matrix = [[int((i, j) in moved) for j in range(5)] for i in range(5)]
            seen.add(graph_hash(graph_cell(matrix, ["input", *names, "output"])))
    assert len(seen) == 1
    others = [
        cell_of(5, "01 02 13 23 24 34", CONV3, POOL3, CONV3),  # another operation
        cell_of(5, "01 02 13 23 34", CONV3, POOL3, CONV1),  # an edge less
        cell_of(5, "01 02 13 14 23 34", CONV3, POOL3, CONV1),  # the shortcut from the other vertex
    ]
    assert len(seen | {graph_hash(other) for other in others}) == 4


def test_dead_vertices_are_pruned() -> None:
    """Vertex 2 reaches nothing, vertex 3 is reached by nothing."""
    pruned = cell_of(5, "01 12 34 14", CONV3, CONV1, POOL3)
    assert pruned == cell_of(3, "01 12", CONV3)
    assert graph_hash(pruned) == graph_hash(cell_of(3, "01 12", CONV3))


def test_channels_are_divided_among_what_the_output_takes_in() -> None:
    assert vertex_channels(INCEPTION, 128, 128) == [128, 32, 32, 32, 32, 32, 128]
    fan = cell_of(5, "01 02 03 14 24 34", CONV3, CONV3, CONV3)
    assert vertex_channels(fan, 64, 128) == [64, 43, 43, 42, 128]
    chain = cell_of(5, "01 12 23 24 34", CONV3, CONV1, POOL3)
    assert vertex_channels(chain, 64, 9) == [64, 5, 5, 4, 9]
    assert vertex_channels(cell_of(2, "01"), 64, 128) == [64, 128]


def test_equals_the_published_network_layer_by_layer() -> None:
    """A vertex that is one channel narrower than its source, a projected input, and a shortcut to the output."""
    cell = cell_of(5, "01 02 04 12 14 23 24 34", CONV3, CONV1, POOL3)
    space, spec = NasBench101(width=7, cells_a_stack=1), TaskSpec(3, 1, 1, (1, 8, 8))
    net = space.network(cell, spec)
    assert [stack[0].channels[1:4] for stack in net.stacks] == [[3, 2, 2], [5, 5, 4], [10, 9, 9]]  # type: ignore
    rng = stream(0, "weights")
    weights = {k: torch.randn(p.shape, generator=rng, dtype=torch.float64) for k, p in net.named_parameters()}
    x = torch.rand(4, 1, 8, 8, generator=rng, dtype=torch.float64)

    def block(name: str, x: Tensor) -> Tensor:
        kernel = weights[f"{name}.conv.weight"]
        h = F.conv2d(x, kernel, padding=kernel.shape[-1] // 2)
        return F.relu(F.batch_norm(h, None, None, weights[f"{name}.norm.scale"], weights[f"{name}.norm.shift"], True))

    h = block("stem", x)
    for stack, narrow in enumerate((2, 5, 9)):
        at = f"stacks.{stack}.0"
        h = F.max_pool2d(h, 2) if stack else h
        one = block(f"{at}.vertices.1", block(f"{at}.projections.1", h))
        two = block(f"{at}.vertices.2", block(f"{at}.projections.2", h) + one[:, :narrow])
        three = F.max_pool2d(two[:, : (2, 4, 9)[stack]], 3, 1, 1)
        h = torch.cat([one, two, three], 1) + block(f"{at}.projections.4", h)
    expected = F.linear(h.mean((2, 3)), weights["head.weight"], weights["head.bias"])
    found = Classification(net).logits(MetaParams(weights, {}), x)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


def test_is_a_space_of_networks_without_a_supernet() -> None:
    assert isinstance(NasBench101(), ArchitectureSpace)
    assert not isinstance(NasBench101(), SearchSpace)


def test_random_genotypes_are_cells_and_come_back() -> None:
    space, rng = NasBench101(width=8, cells_a_stack=1), stream(0, "test")
    for _ in range(30):
        cell = space.cell(space.random(rng))
        assert len(cell.ops) <= 7
        assert len(cell.edges) <= 9
        assert space.cell(space.genotype(cell)) == cell
        assert read_graph_cell(write_graph_cell(cell)) == cell
        assert cost(space.network(cell, SPEC), SPEC).params > 0


@pytest.mark.parametrize(
    ("matrix", "ops", "message"),
    [
        ([[0, 1], [0, 0]], ["input", CONV3, "output"], "a square matrix with a row for each of 3 operations"),
        ([[0, 1], [0, 0, 0]], ["input", "output"], "got 2 rows of 2, 3 entries"),
        ([[0]], ["input"], "at least 2"),
        ([[0, 2], [0, 0]], ["input", "output"], "holds 0 and 1, got 2 in row 0, column 1"),
        ([[0, 1.0], [0, 0]], ["input", "output"], "holds 0 and 1, got 1.0"),
        ([[0, 1], [1, 0]], ["input", "output"], "from lower to higher vertices, got one from 1 to 0"),
        ([[1, 1], [0, 0]], ["input", "output"], "got one from 0 to 0"),
        ([[0, 1], [0, 0]], ["output", "input"], "first operation must be input and the last output, got 'output'"),
        (
            [[0, 1, 0], [0, 0, 1], [0, 0, 0]],
            ["input", "conv5x5", "output"],
            "carries one of conv3x3-bn-relu, .*conv5x5",
        ),
        ([[0, 1, 0], [0, 0, 0], [0, 0, 0]], ["input", CONV3, "output"], "cannot be reached from its input"),
    ],
)
def test_a_wrong_cell_is_refused_by_name(matrix: list[list[int]], ops: list[str], message: str) -> None:
    with pytest.raises(GenotypeError, match=message):
        read_graph_cell(json.dumps({"matrix": matrix, "ops": ops}))


def test_too_many_vertices_or_edges_are_refused() -> None:
    with pytest.raises(GenotypeError, match="at most 7 vertices and 9 edges, got 8 and 7"):
        cell_of(8, "01 12 23 34 45 56 67", *[CONV3] * 6)
    with pytest.raises(GenotypeError, match="got 5 and 10 without dead vertices"):
        cell_of(5, "01 02 03 04 12 13 14 23 24 34", *[CONV3] * 3)


@pytest.mark.parametrize("prefix", ["", "api."])
def test_the_published_notation_is_read_and_never_run(prefix: str) -> None:
    text = f"{prefix}ModelSpec(matrix=[[0, 1, 1], [0, 0, 1], [0, 0, 0]],\n  ops=[INPUT, 'maxpool3x3', OUTPUT])"
    assert read_graph_cell(text) == cell_of(3, "01 02 12", POOL3)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"matrix": 3, "ops": []}',
        '{"matrix":',
        "ModelSpec(matrix=[[0]])",
        "ModelSpec([[0]], ['input'])",
        "ModelSpec(matrix=[[0, 1], [0, 0]], ops=[INPUT, CONV5X5])",
        "ModelSpec(matrix=[[0, 1], [0, 0]], ops=print(1))",
        "ModelSpec(matrix=[[0, 1], [0, 0]], ops=[INPUT, OUTPUT], more=1)",
        "print(matrix=[[0, 1], [0, 0]], ops=[INPUT, OUTPUT])",
        "ModelSpec(" + "[" * 10_000,
    ],
)
def test_text_that_is_no_cell_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(GenotypeError, match=r'e.g. \{"matrix"'):
        read_graph_cell(text)


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"width must be in 7..4096, .* got 6"):
        NasBench101(width=6)
    with pytest.raises(ConfigError, match=r"cells_a_stack must be in 1..100, got 0"):
        NasBench101(cells_a_stack=0)
