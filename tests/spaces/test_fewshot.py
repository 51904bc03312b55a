"""The few-shot space: its published size, its parse rule, its costs."""

import pytest
import torch

from metanas.errors import ConfigError, GenotypeError
from metanas.spaces.cost import cost
from metanas.spaces.fewshot import PRIMITIVES, FewShot
from metanas.spaces.genotype import random_genotype
from metanas.spaces.initial import initial_weights
from tasks.episode import TaskSpec
from tasks.stream import stream

SPEC = TaskSpec(5, 1, 15, (3, 84, 84))


def test_published_supernet_has_201181_weights() -> None:
    assert cost(FewShot(width=16).supernet(SPEC), SPEC).params == 201_181


def test_logits_are_two_tables_of_fourteen_edges_and_eight_operations() -> None:
    assert {kind: tuple(table.shape) for kind, table in FewShot().logits().items()} == {
        "normal": (14, 8),
        "reduction": (14, 8),
    }


def test_macs_equal_a_count_by_hand() -> None:
    """A child of skips and pools only: stem, cell inputs, factorised skips and head are left."""
    space, spec = FewShot(width=4, nodes=1), TaskSpec(5, 1, 1, (1, 16, 16))
    skip, pool = space.choices.ops.index("skip_connect"), space.choices.ops.index("max_pool_3x3")
    found = cost(space.child((0, skip, pool, 0, skip, pool), spec), spec)
    stem = 16 * 16 * 1 * 6 * 9 + 8 * 8 * 6 * 12 * 9
    normal = 2 * 4 * 4 * 12 * 4  # both inputs, 1x1, 12 -> 4 channels on 4x4 maps
    reduction = 4 * 4 * 12 * 8 + 4 * 4 * 4 * 8 + 2 * 2 * 8 * 8  # inputs 12 -> 8 and 4 -> 8, factorised skip 8 -> 8
    head = 8 * 5
    assert found.macs == stem + normal + reduction + head


def test_ties_go_to_the_lower_source_and_the_earlier_operation() -> None:
    genotype = FewShot().decode(FewShot().logits())
    assert genotype == (0,) * 24


def test_none_is_never_chosen_even_when_it_is_strongest() -> None:
    space = FewShot()
    arch = space.logits()
    arch["normal"][:, PRIMITIVES.index("none")] = 10.0
    arch["normal"][0, PRIMITIVES.index("sep_conv_3x3")] = 1.0
    first, second = space.cells(space.decode(arch))["normal"][:2]
    assert (first.source, first.op) == (0, "sep_conv_3x3")
    assert second.op != "none"


def test_a_node_keeps_its_two_strongest_edges() -> None:
    space = FewShot()
    arch = space.logits()
    skip = PRIMITIVES.index("skip_connect")
    for source, strength in ((0, 1.0), (2, 3.0), (3, 2.0)):  # edges into the third node are rows 5 to 8
        arch["reduction"][5 + source, skip] = strength
    edges = [edge for edge in space.cells(space.decode(arch))["reduction"] if edge.target == 4]
    assert [(edge.source, edge.op) for edge in edges] == [(2, "skip_connect"), (3, "skip_connect")]


@pytest.mark.parametrize(
    ("genotype", "message"),
    [
        ((0,) * 23, "24 choices, got 23"),
        ((1, *(0,) * 23), r"normal/0/sources has options 0..0 \(0\+1\), got 1"),
        ((0, 7, *(0,) * 22), "normal/0/first_op has options 0..6"),
        ((0, -1, *(0,) * 22), "got -1"),
    ],
)
def test_a_wrong_genotype_is_refused_by_name(genotype: tuple[int, ...], message: str) -> None:
    with pytest.raises(GenotypeError, match=message):
        FewShot().child(genotype, SPEC)


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="space.width must be even"):
        FewShot(width=3)
    with pytest.raises(ConfigError, match=r"space.nodes must be in 1..8, got 9"):
        FewShot(nodes=9)
    with pytest.raises(ConfigError, match="at least 8x8, got 7x28"):
        FewShot().supernet(TaskSpec(2, 1, 1, (1, 7, 28)))


def test_random_genotypes_are_uniform_over_the_options() -> None:
    space, rng = FewShot(), stream(0, "test")
    drawn = torch.tensor([random_genotype(space, rng) for _ in range(700)])
    for column, decision in enumerate(space.decisions):
        counts = torch.bincount(drawn[:, column], minlength=len(decision.options))
        assert counts.min() > 0
        assert len(counts) == len(decision.options)


def test_initial_weights_have_the_variance_of_their_fan_in() -> None:
    weights = initial_weights(FewShot(width=16).supernet(SPEC), stream(0, "weights"))
    kernel = weights["stem.conv2.weight"]
    assert kernel.var().item() == pytest.approx(2 / (24 * 9), rel=0.1)
    assert torch.equal(weights["stem.norm1.scale"], torch.ones(24))
    assert not weights["head.weight"].any()
    assert not weights["head.bias"].any()
