"""The space of NAS-Bench-201: its published sizes, its networks in torch's own words, its parse rule."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from metanas.errors import ConfigError, GenotypeError
from metanas.objective import Classification
from metanas.params import MetaParams
from metanas.relax.straight_through import StraightThrough
from metanas.spaces.cost import cost
from metanas.spaces.initial import initial_weights
from metanas.spaces.nas_bench_201 import EDGES, KIND, PRIMITIVES, NasBench201
from tasks.episode import TaskSpec
from tasks.stream import stream

SPACE = NasBench201()
ALL_CONV3, ALL_NONE, ALL_SKIP = (3,) * 6, (0,) * 6, (1,) * 6
BEST = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"


def spec(n_way: int, resolution: int) -> TaskSpec:
    return TaskSpec(n_way, 1, 1, (3, resolution, resolution))


@pytest.mark.parametrize(
    ("n_way", "resolution", "params", "macs", "conv1_macs", "conv3_macs"),
    [
        (10, 32, 73_306, 7_783_050, 3_932_160, 35_389_440),
        (100, 32, 79_156, 7_788_900, 3_932_160, 35_389_440),
        (120, 16, 80_456, 1_953_400, 983_040, 8_847_360),
    ],
    ids=["CIFAR-10", "CIFAR-100", "ImageNet16-120"],
)
@pytest.mark.parametrize("genotype", [ALL_CONV3, ALL_NONE, ALL_SKIP, (2, 3, 4, 1, 0, 2), SPACE.read(BEST)])
def test_a_child_has_the_published_size(
    genotype: tuple[int, ...], n_way: int, resolution: int, params: int, macs: int, conv1_macs: int, conv3_macs: int
) -> None:
    """The benchmark's columns; its MACs count one operation a class for the bias of the classifier."""
    found = cost(SPACE.child(genotype, spec(n_way, resolution)), spec(n_way, resolution))
    conv1, conv3 = genotype.count(2), genotype.count(3)
    assert found.params == params + 28_000 * conv1 + 243_040 * conv3
    assert found.macs + n_way == macs + conv1_macs * conv1 + conv3_macs * conv3


def test_the_largest_network_has_the_published_maximum() -> None:
    found = cost(SPACE.child(ALL_CONV3, spec(10, 32)), spec(10, 32))
    assert (found.params, found.macs + 10) == (1_531_546, 220_119_690)


def test_equals_the_published_network_layer_by_layer() -> None:
    """The macro skeleton and all five operations, written with torch's own layers."""
    space, task = NasBench201(width=2, cells_a_stage=2), TaskSpec(3, 1, 1, (1, 8, 8))
    genotype = space.read("|nor_conv_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|skip_connect~0|none~1|nor_conv_3x3~2|")
    child = space.child(genotype, task)
    rng = stream(0, "weights")
    weights = {k: torch.randn(p.shape, generator=rng, dtype=torch.float64) for k, p in child.named_parameters()}
    x = torch.rand(4, 1, 8, 8, generator=rng, dtype=torch.float64)

    def norm(name: str, x: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, weights[f"{name}.scale"], weights[f"{name}.shift"], training=True)

    def block(name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = weights[f"{name}.conv.weight"]
        return norm(f"{name}.norm", F.conv2d(F.relu(x), weight, None, stride, padding=weight.shape[-1] // 2))

    h = norm("stem.norm", F.conv2d(x, weights["stem.conv.weight"], padding=1))
    for stage in range(3):
        at = f"stages.{stage}"
        if stage:
            short = F.conv2d(F.avg_pool2d(h, 2), weights[f"{at}.entrance.shortcut.weight"])
            h = short + block(f"{at}.entrance.second", block(f"{at}.entrance.first", h, stride=2))
        for cell in range(2):
            edge = f"{at}.cells.{cell}"
            one = block(f"{edge}.0.nor_conv_3x3", h)
            two = F.avg_pool2d(h, 3, 1, 1, count_include_pad=False) + block(f"{edge}.2.nor_conv_1x1", one)
            h = h + block(f"{edge}.5.nor_conv_3x3", two)
    expected = F.linear(F.relu(norm("norm", h)).mean((2, 3)), weights["head.weight"], weights["head.bias"])
    found = Classification(child).logits(MetaParams(weights, {}), x)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


def test_straight_through_gates_send_a_gradient_to_every_taken_option() -> None:
    space, task = NasBench201(width=2, cells_a_stage=1), TaskSpec(3, 1, 1, (1, 8, 8))
    net = space.supernet(task)
    weights = {k: w.double() for k, w in initial_weights(net, stream(0, "weights")).items()}
    weights["head.weight"] = torch.randn(3, 8, generator=stream(0, "head"), dtype=torch.float64)
    arch = {KIND: torch.randn(6, 5, generator=stream(1, "arch"), dtype=torch.float64).requires_grad_()}
    hard = space.harden(arch)[KIND]
    x = torch.rand(5, 1, 8, 8, generator=stream(0, "x"), dtype=torch.float64)
    out = Classification(net, StraightThrough(space.harden)).logits(MetaParams(weights, arch), x)
    (gradient,) = torch.autograd.grad(out.sin().sum(), [arch[KIND]])
    edges = [edge for edge, op in hard.nonzero().tolist() if PRIMITIVES[op] != "none"]
    assert edges
    assert all(gradient[edge].abs().max() > 0 for edge in edges)


def test_an_edge_carries_its_strongest_operation_none_included() -> None:
    arch = SPACE.logits()
    assert SPACE.decode(arch) == ALL_NONE  # ties go to the earlier operation
    arch[KIND][:, PRIMITIVES.index("avg_pool_3x3")] = 1.0
    arch[KIND][2, PRIMITIVES.index("skip_connect")] = 2.0
    assert SPACE.write(SPACE.decode(arch)) == (
        "|avg_pool_3x3~0|+|avg_pool_3x3~0|skip_connect~1|+|avg_pool_3x3~0|avg_pool_3x3~1|avg_pool_3x3~2|"
    )


@pytest.mark.parametrize("lean", [0.0, 2.0, 5.0])
def test_a_connected_space_prefers_the_likeliest_cell_that_joins_its_input_to_its_output(lean: float) -> None:
    """Against a search through all cells, for logits that lean to `none`."""
    space, published = NasBench201(connected=True), NasBench201()
    ways = [(3,), (0, 4), (1, 5), (0, 2, 5)]
    cells = torch.cartesian_prod(*[torch.arange(5)] * 6)
    cells = cells[torch.stack([(cells[:, way] > 0).all(-1) for way in ways]).any(0)]
    logits = torch.randn(40, 6, 5, generator=stream(0, "arch"))
    logits[..., 0] += lean
    worth = torch.stack([logits[:, edge, cells[:, edge]] for edge in range(6)]).sum(0)
    expected = [tuple(cell) for cell in cells[worth.argmax(-1)].tolist()]
    assert [space.decode({KIND: table}) for table in logits] == expected
    joined = set(map(tuple, cells.tolist()))
    as_published = [published.decode({KIND: table}) for table in logits]
    assert all(own == each or each not in joined for own, each in zip(expected, as_published, strict=True))
    assert (sum(each in joined for each in as_published) < 40) == (lean > 0)
    for form in (space.harden({KIND: logits})[KIND], torch.vmap(lambda t: space.harden({KIND: t})[KIND])(logits)):
        assert torch.equal(form, torch.stack([space.encode(cell)[KIND] for cell in expected]))
    assert all(space.decode(space.encode(cell)) == cell for cell in expected)


def test_a_connected_space_opens_the_shortest_way_where_all_cost_the_same() -> None:
    assert NasBench201(connected=True).decode(SPACE.logits()) == (0, 0, 0, 1, 0, 0)


def test_every_architecture_has_a_string_of_its_own() -> None:
    grid = torch.cartesian_prod(*[torch.arange(5)] * 6).tolist()
    strings = {SPACE.write(tuple(genotype)) for genotype in grid}
    assert len(strings) == 15_625
    assert all(SPACE.read(SPACE.write(tuple(genotype))) == tuple(genotype) for genotype in grid[::97])


def test_cells_name_every_edge_with_its_operation() -> None:
    edges = SPACE.cells(SPACE.read(BEST))[KIND]
    assert [(edge.source, edge.target) for edge in edges] == list(EDGES)
    assert [edge.op for edge in edges][3:] == ["skip_connect", "nor_conv_3x3", "nor_conv_1x1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"expected 3 nodes joined by \+, .* got 1"),
        ("|none~0|+|none~0|none~1|", r"expected 3 nodes joined by \+, .* got 2"),
        (BEST + "+|none~0|", "expected 3 nodes .* got 4"),
        (
            BEST.replace("skip_connect", "sep_conv_3x3"),
            "an edge carries one of none, .* got 'sep_conv_3x3' into node 3",
        ),
        (
            BEST.replace("skip_connect~0", "skip_connect~3"),
            "node 3 may only take in the nodes 0..2, .* 'skip_connect~3'",
        ),
        (BEST.replace("|nor_conv_3x3~0|+", "|nor_conv_3x3~1|+", 1), "node 1 may only take in the nodes 0..0"),
        (BEST.replace("|skip_connect~0", ""), "node 3 must come from the nodes 0..2, each once .* write none~0"),
        (BEST.replace("nor_conv_1x1~2|", ""), r"node 3 needs edges from the nodes 0..2, got 2 .* write none~2"),
        (
            BEST.replace("skip_connect~0", "skip_connect"),
            "an edge into node 3 is written op~source, got 'skip_connect'",
        ),
        (BEST.replace("skip_connect~0", "skip_connect~x"), "op~source, got 'skip_connect~x'"),
        (BEST.strip("|"), r"node 1 must begin and end with \|"),
        ("Genotype(normal=[('skip_connect', 0)], reduce=[])", "one kind of cell and no reduction cell"),
        ("|" * 500, r"expected 3 nodes .* got 1 in .*\.\.\.'$"),
    ],
)
def test_a_wrong_string_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(GenotypeError, match=message) as caught:
        SPACE.read(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 350


def test_logits_of_other_kinds_of_cells_are_refused() -> None:
    tables = {"normal": torch.zeros(6, 5), "reduction": torch.zeros(6, 5)}
    with pytest.raises(
        GenotypeError, match="one kind of cell, 'searched', got .* 'normal', 'reduction'; choose a space"
    ):
        SPACE.decode(tables)


def test_impossible_sizes_and_genotypes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"space.width must be in 1..4096, got 0"):
        NasBench201(width=0)
    with pytest.raises(ConfigError, match=r"space.cells must be in 1..100, got 0; the published networks have 5"):
        NasBench201(cells_a_stage=0)
    with pytest.raises(GenotypeError, match="6 choices, got 5"):
        SPACE.child((0,) * 5, spec(10, 32))
    with pytest.raises(GenotypeError, match=r"3<-2 has options 0..4 .*, got 5"):
        SPACE.encode((0, 0, 0, 0, 0, 5))
