"""The space of MetaNAS: its published size, and inputs that have gates of their own, in float64."""

import pytest
import torch
import torch.nn.functional as F

from metanas.errors import ConfigError
from metanas.objective import Classification
from metanas.params import MetaParams
from metanas.relax.fixed import Fixed
from metanas.relax.pruned_softmax import PrunedSoftmax
from metanas.spaces.cost import cost
from metanas.spaces.genotype import random_genotype
from metanas.spaces.initial import initial_weights
from metanas.spaces.input_pairs import names_pairs, pairs, shared_out
from metanas.spaces.metanas import MetaNas
from metanas.spaces.network import CellNetwork
from metanas.spaces.ops import OPS
from tasks.episode import TaskSpec
from tasks.stream import stream

MINI = TaskSpec(5, 1, 1, (3, 84, 84))
SPACE, SPEC = MetaNas(width=2, nodes=3), TaskSpec(3, 1, 1, (1, 12, 12))
ARCH = {k: torch.randn(a.shape, generator=stream(0, k), dtype=torch.float64) for k, a in SPACE.logits().items()}


def test_published_supernet_has_462509_weights_146_logits_and_1300_million_macs() -> None:
    net = MetaNas().supernet(MINI)
    assert cost(net, MINI).params == 462_509
    assert round(cost(net, MINI).macs / 1e7) == 130
    sizes = {name: tuple(a.shape) for name, a in MetaNas().logits().items()}
    assert sizes == {
        **{kind: (9, 7) for kind in ("normal", "reduction")},
        **{f"{kind}/inputs/{i}": (n,) for kind in ("normal", "reduction") for i, n in enumerate((1, 3, 6))},
    }
    assert sum(a.numel() for a in MetaNas().logits().values()) == 146


def test_every_second_cell_halves_the_map_and_none_widens() -> None:
    net = MetaNas(width=4, nodes=2, stack=5).supernet(MINI)
    assert isinstance(net, CellNetwork)
    shapes: list[torch.Size] = []
    for cell in net.cells:
        cell.register_forward_hook(lambda module, inputs, output: shapes.append(output.shape))
    net(torch.empty(2, *MINI.image, device="meta"), None)
    assert [tuple(shape[1:]) for shape in shapes] == [(8, side, side) for side in (84, 42, 42, 21, 21)]


@pytest.mark.parametrize("stride", [1, 2])
def test_the_factorised_convolution_by_torch(stride: int, float64: None) -> None:
    op = OPS["conv_1x5_5x1"](3, stride)
    weights = initial_weights(op, stream(0, "weights"))
    weights = {name: w.double() for name, w in weights.items()}
    x = torch.randn(2, 3, 7, 6, generator=stream(0, "x"), dtype=torch.float64)
    y = F.conv2d(F.relu(x), weights["rows.weight"], None, stride, (0, 2))
    y = F.conv2d(y, weights["columns.weight"], None, 1, (2, 0))
    expected = F.batch_norm(y, None, None, training=True)
    assert weights["rows.weight"].shape[2:] == (1, 5)
    torch.testing.assert_close(torch.func.functional_call(op, weights, (x,)), expected)


def test_a_node_is_the_sum_of_its_pairs() -> None:
    """Equation 6 as written, sum of b_jk (m_j + m_k), on the gates of the operations of every edge."""
    gates = PrunedSoftmax(threshold=0.0)(ARCH, 1.0, {})
    for kind in ("normal", "reduction"):
        edges = iter(gates[kind])
        expected = []
        for node in range(3):
            into = [next(edges) for _ in range(node + 2)]
            total = [torch.zeros_like(into[0]) for _ in into]
            for b, (j, k) in zip(gates[f"{kind}/inputs/{node}"], pairs(node), strict=True):
                total[j] = total[j] + b * into[j]
                total[k] = total[k] + b * into[k]
            expected += total
        torch.testing.assert_close(shared_out(gates)[kind], torch.stack(expected))


def test_gates_without_pairs_are_given_back_as_they_are() -> None:
    gates = {"normal": ARCH["normal"]}
    assert shared_out(gates) is gates


def test_the_pairs_say_which_inputs_are_kept_and_not_the_operations() -> None:
    arch = {name: torch.zeros_like(a) for name, a in ARCH.items()}
    arch["normal"][2, 1] = 9.0  # the strongest operation of all, from state 0 into the second node
    arch["normal/inputs/1"][2] = 1e-3  # the pair (1, 2)
    (first, second) = (edge for edge in SPACE.cells(SPACE.decode(arch))["normal"] if edge.target == 3)
    assert (first.source, second.source) == (1, 2)


def test_equal_logits_go_to_the_first_pair_and_operation() -> None:
    assert SPACE.decode(SPACE.logits()) == (0,) * len(SPACE.decisions)


def test_gates_and_their_gradients_reach_every_logit() -> None:
    """Pairs of a node with one pair only have nothing to choose; everything else moves."""
    net = SPACE.supernet(SPEC)
    weights = {k: w.double() for k, w in initial_weights(net, stream(0, "weights")).items()}
    weights["head.weight"] = torch.randn(weights["head.weight"].shape, generator=stream(0, "head")).double()
    x = torch.rand(3, *SPEC.image, generator=stream(0, "x"), dtype=torch.float64)

    def loss(arch: dict[str, torch.Tensor]) -> torch.Tensor:
        objective = Classification(net, PrunedSoftmax(threshold=0.0))
        return F.cross_entropy(objective.logits(MetaParams(weights, arch), x), torch.arange(3))

    arch = {k: a.clone().requires_grad_() for k, a in ARCH.items()}
    gradient = dict(zip(arch, torch.autograd.grad(loss(arch), list(arch.values())), strict=True))
    for name, g in gradient.items():
        if g.numel() == 1:
            assert not g.any()
            continue
        along = torch.randn(g.shape, generator=stream(1, name), dtype=torch.float64)
        ends = [loss(ARCH | {name: ARCH[name] + sign * 1e-6 * along}).item() for sign in (1, -1)]
        assert (g * along).sum().item() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-9)


def test_a_low_temperature_gives_the_decoded_network() -> None:
    """Decoding takes nothing away: the annealed supernet is the child, whose other gates are pruned."""
    net = SPACE.supernet(SPEC)
    weights = {k: w.double() for k, w in initial_weights(net, stream(0, "weights")).items()}
    weights["head.weight"] = torch.randn(weights["head.weight"].shape, generator=stream(0, "head")).double()
    x = torch.rand(3, *SPEC.image, generator=stream(0, "x"), dtype=torch.float64)
    annealed = Classification(net, PrunedSoftmax(), 1e-3).logits(MetaParams(weights, ARCH), x)
    decoded = Classification(net, Fixed({k: g.double() for k, g in SPACE.encode(SPACE.decode(ARCH)).items()}))
    torch.testing.assert_close(annealed, decoded.logits(MetaParams(weights, ARCH), x))


def test_a_threshold_prunes_operations_and_pairs() -> None:
    free, pruned = (PrunedSoftmax(threshold)(ARCH, 0.5, {}) for threshold in (0.0, 0.1))
    for name in ARCH:
        assert torch.equal(pruned[name], free[name] * (free[name] > 0.1))
    assert any((pruned[name] == 0).any() for name in ARCH if names_pairs(name))
    assert any((pruned[name] == 0).any() for name in ARCH if not names_pairs(name))


def test_soft_pruning_without_a_temperature_is_refused() -> None:
    with pytest.raises(ConfigError, match="soft pruning needs a temperature above 0, got 0"):
        PrunedSoftmax()(ARCH, 0.0, {})


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"width": 3}, "space.width must be even and at least 2, got 3"),
        ({"nodes": 9}, "space.nodes must be in 1..8, got 9"),
        ({"stack": 1}, "space.cells must be in 2..64 for space.kind=metanas, got 1"),
    ],
)
def test_impossible_sizes_are_refused(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MetaNas(**sizes)


def test_genotypes_and_cells_agree() -> None:
    genotype = random_genotype(SPACE, stream(0, "genotype"))
    assert SPACE.choices.genotype(SPACE.cells(genotype)) == genotype
