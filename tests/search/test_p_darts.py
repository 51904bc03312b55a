"""P-DARTS: what a stage leaves to the next one, dropout behind skip connections, and a limit to their number."""

import pytest
import torch

from metanas.errors import GenotypeError
from metanas.objective import Classification, SkipDropout
from metanas.params import MetaParams, Params
from metanas.relax.fixed import Fixed
from metanas.relax.softmax import Softmax
from metanas.search.collapse import SKIP
from metanas.search.p_darts import restrict_skips, strongest
from metanas.spaces.cell_space import KINDS, PRIMITIVES
from metanas.spaces.darts import Darts
from metanas.spaces.genotype import random_genotype
from metanas.spaces.initial import initial_weights
from metanas.spaces.space import NEVER
from tasks.episode import TaskSpec
from tasks.stream import stream

SPEC = TaskSpec(3, 1, 1, (1, 16, 16))
FULL = Darts(width=2, nodes=2, stack=3)
X = torch.rand(5, *SPEC.image, generator=stream(0, "x"), dtype=torch.float64)


def noise(seed: int, space: Darts = FULL) -> Params:
    return {
        kind: table.double() + torch.randn(table.shape, generator=stream(seed, kind), dtype=torch.float64)
        for kind, table in space.logits().items()
    }


def stage(count: int = 3, seed: int = 0) -> Darts:
    return Darts(width=2, nodes=2, stack=4, options=strongest(noise(seed), PRIMITIVES, count))


def weights(space: Darts) -> Params:
    found = {k: w.double() for k, w in initial_weights(space.supernet(SPEC), stream(0, "weights")).items()}
    found["head.weight"] = torch.randn(found["head.weight"].shape, generator=stream(0, "head"), dtype=torch.float64)
    return found


def test_every_edge_keeps_its_most_probable_operations() -> None:
    arch = noise(0)
    for kind, rows in strongest(arch, PRIMITIVES, 5).items():
        for logits, kept in zip(arch[kind], rows, strict=True):
            assert len(kept) == 5
            least = min(float(logits[PRIMITIVES.index(op)]) for op in kept)
            assert all(float(logits[i]) < least for i, op in enumerate(PRIMITIVES) if op not in kept)
            assert [op for op in PRIMITIVES if op in kept] == kept


def test_what_a_stage_leaves_out_never_comes_back() -> None:
    first = strongest(noise(0), PRIMITIVES, 5)
    second = strongest(noise(1, Darts(width=2, nodes=2, stack=3, options=first)), PRIMITIVES, 3)
    for kind in KINDS:
        for before, after in zip(first[kind], second[kind], strict=True):
            assert set(after) < set(before)


def test_a_supernet_holds_the_operations_that_are_left() -> None:
    space = stage()
    names = {name for name, _ in space.supernet(SPEC).named_parameters()}
    assert names < {name for name, _ in Darts(width=2, nodes=2, stack=4).supernet(SPEC).named_parameters()}
    net = space.network(space.choices.full_plan(), SPEC)
    for kind, cell in zip(net.kinds, net.cells, strict=True):
        assert [list(edge) for edge in cell.edges] == space.choices.full_plan()[kind]  # type: ignore[call-overload]


def test_left_out_operations_have_no_probability_and_no_gradient() -> None:
    space = stage()
    arch = {kind: table.requires_grad_() for kind, table in noise(2, space).items()}
    out = Classification(space.supernet(SPEC), Softmax()).logits(MetaParams(weights(space), arch), X).sin().sum()
    for gradient, (kind, table) in zip(torch.autograd.grad(out, list(arch.values())), arch.items(), strict=True):
        is_out = space.logits()[kind] == NEVER
        assert is_out.sum() == 5 * len(table)
        assert not torch.softmax(table, -1)[is_out].any()
        assert not gradient[is_out].any()
        assert gradient[~is_out].any()


@pytest.mark.parametrize("seed", range(4))
def test_the_laws_of_a_space_hold_for_what_is_left(seed: int) -> None:
    """One-hot gates give the child, whose weights the supernet has; decoding undoes encoding."""
    space = stage(seed=seed)
    genotype = space.decode(noise(seed + 10, space))
    gates = {kind: table.double() for kind, table in space.encode(genotype).items()}
    assert space.decode(space.encode(genotype)) == genotype
    child, mine = space.child(genotype, SPEC), weights(space)
    inherited = {name: mine[name] for name, _ in child.named_parameters()}
    expected = Classification(child).logits(MetaParams(inherited, {}), X)
    found = Classification(space.supernet(SPEC), Fixed(gates)).logits(MetaParams(mine, {}), X)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_an_operation_that_has_been_left_out_is_refused() -> None:
    space = stage()
    forbidden = next(
        genotype
        for genotype in (random_genotype(FULL, stream(seed, "genotype")) for seed in range(100))
        if any(
            edge.op not in space.choices.full_plan()[kind][sum(range(2, edge.target)) + edge.source]
            for kind, edges in FULL.cells(genotype).items()
            for edge in edges
        )
    )
    with pytest.raises(GenotypeError, match=r"cell: the edge from \d to \d may carry one of .*, got "):
        space.encode(forbidden)


def skips(genotype: tuple[int, ...], kind: str) -> list[tuple[int, int]]:
    return [(edge.target, edge.source) for edge in FULL.cells(genotype)[kind] if edge.op == SKIP]


@pytest.mark.parametrize("most", [0, 1, 2, 4])
def test_the_weakest_skips_of_the_normal_cell_give_way(most: int) -> None:
    """Node 3 can fall back on state 0, whose skip is weaker than all: it is tried and gives way too."""
    arch, column = FULL.logits(), PRIMITIVES.index(SKIP)
    for kind in KINDS:
        arch[kind][:, column] = 2.0 + torch.arange(len(arch[kind])) / 2
    before = {kind: table.clone() for kind, table in arch.items()}
    strongest_first = [(3, 2), (3, 1), (2, 1), (2, 0)]
    assert sorted(skips(FULL.decode(arch), "normal"), reverse=True) == strongest_first
    found = restrict_skips(FULL, arch, most)
    assert sorted(skips(found, "normal"), reverse=True) == strongest_first[:most]
    assert len(skips(found, "reduction")) == 4
    assert all(torch.equal(arch[kind], table) for kind, table in before.items())


def test_dropout_is_a_function_of_its_seed_with_the_right_mean() -> None:
    x = torch.full((100, 4, 5, 5), 2.0)
    once, again = (SkipDropout(0.4, 7).begin()(x) for _ in range(2))
    assert torch.equal(once, again)
    assert sorted(once.unique().tolist()) == [0.0, pytest.approx(2 / 0.6)]
    assert float(once.mean()) == pytest.approx(2.0, rel=0.05)
    drop = SkipDropout(0.4, 7).begin()
    assert not torch.equal(drop(x), drop(x))  # from layer to layer it differs


def test_only_skip_connections_are_dropped() -> None:
    net, mine = FULL.supernet(SPEC), weights(FULL)
    for op, is_moved in (("sep_conv_3x3", False), (SKIP, True)):
        row = torch.eye(len(PRIMITIVES), dtype=torch.float64)[PRIMITIVES.index(op)]
        gates = {kind: row.expand(len(table), -1) for kind, table in FULL.logits().items()}
        plain, dropped = (
            Classification(net, Fixed(gates), drop=drop).logits(MetaParams(mine, {}), X)
            for drop in (None, SkipDropout(0.5, 1))
        )
        assert torch.equal(plain, dropped) != is_moved
