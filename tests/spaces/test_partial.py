"""Partial channels: the paper's equations written out edge by edge, and edges that have a say in decoding."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from metanas.errors import ConfigError
from metanas.params import Params
from metanas.relax.softmax import Softmax
from metanas.spaces.cell import Cell
from metanas.spaces.cell_choices import NONE
from metanas.spaces.cell_space import PRIMITIVES
from metanas.spaces.darts import Darts
from metanas.spaces.edges import edge_ends, take
from metanas.spaces.fewshot import FewShot
from metanas.spaces.initial import initial_weights
from metanas.spaces.partial import edge_gates, sources_of
from tasks.episode import TaskSpec
from tasks.stream import stream

K, WIDTH, NODES = 4, 8, 2
SPACE = FewShot(width=WIDTH, nodes=NODES, partial=K)


def random_arch(seed: int) -> Params:
    return {k: torch.randn(a.shape, generator=stream(seed, k), dtype=torch.float64) for k, a in SPACE.logits().items()}


def cell(*, reduction: bool) -> Cell:
    ops = [op for op in PRIMITIVES if op != NONE]
    plan = [ops] * len(edge_ends(NODES))
    found = Cell(plan, PRIMITIVES, (6, 6, WIDTH), reduction=reduction, after_reduction=False, partial=K).double()
    weights = initial_weights(found, stream(0, "weights"))
    found.load_state_dict({name: weight.double() for name, weight in weights.items()})
    return found


def edge_by_edge(cell: Cell, inputs: list[Tensor], gates: Params, kind: str) -> Tensor:
    """Equations 1 and 2 of arXiv 1907.05737: on every edge work, pass by, concatenate, shuffle; then weigh and add."""
    states = list(inputs)
    for node in range(NODES):
        total = torch.zeros(())
        for edge, (target, source) in enumerate(edge_ends(NODES)):
            if target != node:
                continue
            x, is_strided = states[source], source < 2 and cell.edges.stride == 2
            worked = sum(
                gates[kind][edge, PRIMITIVES.index(op)] * module(x[:, : WIDTH // K])
                for op, module in cell.edges[edge].items()  # type: ignore[operator, union-attr]
            )
            rest = x[:, WIDTH // K :]
            both = torch.cat([worked, F.max_pool2d(rest, 2, ceil_mode=True) if is_strided else rest], dim=1)
            order = torch.arange(WIDTH).view(K, WIDTH // K).T.flatten()
            total = total + gates[sources_of(kind, node)][0, source] * both[:, order]
        states.append(total)
    return torch.cat(states[2:], dim=1)


@pytest.mark.parametrize("size", [8, 7])
@pytest.mark.parametrize("kind", ["normal", "reduction"])
def test_a_cell_is_the_papers_equations(kind: str, size: int) -> None:
    found, gates = cell(reduction=kind == "reduction"), Softmax()(random_arch(1), 1.0, {})
    s0, s1 = (torch.randn(3, 6, size, size, generator=stream(0, i), dtype=torch.float64) for i in range(2))
    weight = edge_gates(gates, kind, NODES)
    taken = take(gates[kind] * weight[:, None], found.edges.choices, sparse=False)
    expected = edge_by_edge(found, [found.input0(s0), found.input1(s1)], gates, kind)
    torch.testing.assert_close(found(s0, s1, taken, passed=weight), expected, rtol=1e-10, atol=1e-12)


def test_operations_have_a_kth_of_the_channels() -> None:
    whole, part = FewShot(width=WIDTH, nodes=NODES), SPACE
    spec = TaskSpec(3, 1, 1, (1, 16, 16))
    shapes = [{k: p.shape for k, p in space.supernet(spec).named_parameters()} for space in (whole, part)]
    assert list(shapes[0]) == list(shapes[1])
    for name, shape in shapes[1].items():
        if ".edges." in name:
            assert shape[0] * K == shapes[0][name][0]
        else:
            assert shape == shapes[0][name]


def test_edges_into_a_node_share_a_weight_of_one() -> None:
    gates = Softmax()(random_arch(2), 1.0, {})
    for kind in ("normal", "reduction"):
        weight = edge_gates(gates, kind, NODES)
        for node in range(NODES):
            rows = [row for row, (target, _) in enumerate(edge_ends(NODES)) if target == node]
            assert float(weight[rows].sum()) == pytest.approx(1)


def test_the_logits_of_an_edge_can_overrule_its_operations() -> None:
    arch = {kind: torch.zeros_like(table) for kind, table in SPACE.logits().items()}
    arch["normal"][2:4, PRIMITIVES.index("sep_conv_3x3")] = 1.0  # node 1 from states 0 and 1
    assert [edge.source for edge in SPACE.cells(SPACE.decode(arch))["normal"][2:]] == [0, 1]
    arch[sources_of("normal", 1)][0, 2] = 3.0
    assert 2 in [edge.source for edge in SPACE.cells(SPACE.decode(arch))["normal"][2:]]
    assert all(torch.equal(SPACE.logits()[name] * 0, SPACE.logits()[name]) for name in arch)


def test_every_logit_moves_the_output() -> None:
    from metanas.objective import Classification
    from metanas.params import MetaParams

    spec = TaskSpec(3, 1, 1, (1, 16, 16))
    net = SPACE.supernet(spec)
    weights = {k: w.double() for k, w in initial_weights(net, stream(0, "weights")).items()}
    weights["head.weight"] = torch.randn(weights["head.weight"].shape, generator=stream(0, "head"), dtype=torch.float64)
    arch = {k: a.requires_grad_() for k, a in random_arch(3).items()}
    x = torch.rand(5, *spec.image, generator=stream(0, "x"), dtype=torch.float64)
    out = Classification(net, Softmax()).logits(MetaParams(weights, arch), x)
    assert all(g.abs().max() > 0 for g in torch.autograd.grad(out.sin().sum(), list(arch.values())))


@pytest.mark.parametrize("partial", [0, 3, 16])
def test_a_share_that_does_not_divide_the_width_is_refused(partial: int) -> None:
    with pytest.raises(ConfigError, match=rf"space.partial must be at least 1 and divide space.width=8, got {partial}"):
        Darts(width=8, partial=partial)
