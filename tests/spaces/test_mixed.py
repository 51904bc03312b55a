"""Edges of a state computed together are edges computed one by one, in value, gradient and second derivative."""

from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from metanas.objective import Classification
from metanas.params import MetaParams
from metanas.relax.softmax import Softmax
from metanas.spaces import edges, network
from metanas.spaces.cell import Cell
from metanas.spaces.fewshot import PRIMITIVES, FewShot
from metanas.spaces.head import LinearHead
from metanas.spaces.mixed import is_mixable, waves
from metanas.spaces.nas_bench_201 import NasBench201
from metanas.spaces.norm import EPS, normalise_rows, standardise
from metanas.spaces.space import SearchSpace
from tasks.episode import TaskSpec
from tasks.stream import stream


def draw(shape: tuple[int, ...], name: str) -> Tensor:
    return torch.randn(shape, generator=stream(7, name), dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("size", [(16, 16), (28, 20), (9, 13)], ids=str)
@pytest.mark.parametrize("tasks", [None, 1, 3])
@pytest.mark.parametrize("nodes", [1, 3])
def test_equals_edge_by_edge(size: tuple[int, int], tasks: int | None, nodes: int) -> None:
    spec, space, lead = TaskSpec(3, 1, 2, (1, *size)), FewShot(2, nodes), () if tasks is None else (tasks,)
    net = space.supernet(spec)
    weights = {name: draw((*lead, *p.shape), name) for name, p in net.named_parameters()}
    arch = {kind: draw((*lead, *table.shape), kind) for kind, table in space.logits().items()}
    x = draw((*lead, 4, *spec.image), "x")
    leaves = [x, *weights.values(), *arch.values()]

    def derivatives() -> list[Tensor]:
        out = Classification(net, Softmax()).logits(MetaParams(weights, arch), x)
        first = torch.autograd.grad(out.sin().sum(), leaves, create_graph=True)
        second = torch.autograd.grad(sum((g * g.detach().cos()).sum() for g in first if g.requires_grad), leaves)
        return [out, *first, *second]

    fast = derivatives()
    with patch.object(network, "is_mixable", lambda cell, x: False):
        slow = derivatives()
    for a, b in zip(fast, slow, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("missing", [*PRIMITIVES[1:4], "sep_conv_3x3", "dil_conv_5x5"])
def test_equals_edge_by_edge_with_fewer_operations(missing: str) -> None:
    ops = [op for op in PRIMITIVES[1:] if op != missing]
    kinds = ("normal", "reduction")
    with torch.device("meta"):
        net = network.CellNetwork(
            network.PooledStem(1, 6),
            6,
            kinds,
            plan={kind: [ops] * 5 for kind in kinds},
            primitives=PRIMITIVES,
            width=2,
            head=lambda channels: LinearHead(channels, 3),
        )
    weights = {name: draw(tuple(p.shape), name) for name, p in net.named_parameters()}
    arch = {kind: draw((5, len(PRIMITIVES)), kind) for kind in kinds}
    x = draw((4, 1, 20, 20), "x")

    def derivatives() -> list[Tensor]:
        out = Classification(net, Softmax()).logits(MetaParams(weights, arch), x)
        return [out, *torch.autograd.grad(out.sin().sum(), [*weights.values(), *arch.values()])]

    fast = derivatives()
    with patch.object(network, "is_mixable", lambda cell, x: False):
        slow = derivatives()
    for a, b in zip(fast, slow, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


SPACES = {
    "cells of two inputs": FewShot(2, 3),
    "partial channels": FewShot(4, 2, partial=2),
    "cells of one input": NasBench201(2, 1),
}


@pytest.mark.parametrize("tasks", [None, 1, 3])
@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_a_call_for_all_edges_equals_a_call_for_each(space: SearchSpace, tasks: int | None) -> None:
    """As on a GPU, where calls are what costs."""
    spec, lead = TaskSpec(3, 1, 2, (1, 16, 12)), () if tasks is None else (tasks,)
    net = space.supernet(spec)
    weights = {name: draw((*lead, *p.shape), name) for name, p in net.named_parameters()}
    arch = {kind: draw((*lead, *table.shape), kind) for kind, table in space.logits().items()}
    x = draw((*lead, 4, *spec.image), "x")

    def derivatives(is_bound: bool) -> list[Tensor]:
        leaves = [x, *weights.values(), *arch.values()]
        with (
            patch.object(network, "is_mixable", lambda cell, x: False),
            patch.object(edges, "is_bound_by_calls", lambda x: is_bound),
        ):
            out = Classification(net, Softmax()).logits(MetaParams(weights, arch), x)
        first = torch.autograd.grad(out.sin().sum(), leaves, create_graph=True)
        second = torch.autograd.grad(sum((g * g.detach().cos()).sum() for g in first if g.requires_grad), leaves)
        return [out, *first, *second]

    for a, b in zip(derivatives(True), derivatives(False), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def cell(plan: list[list[str]]) -> Cell:
    with torch.device("meta"):
        return Cell(plan, PRIMITIVES, (6, 6, 2), reduction=False, after_reduction=False)


@pytest.mark.parametrize(
    ("plan", "size", "is_taken"),
    [
        ([["skip_connect", "sep_conv_3x3"]] * 5, 8, True),
        ([["skip_connect", "sep_conv_3x3"]] * 5, 9, False),
        ([["skip_connect"]] * 4 + [["sep_conv_3x3"]], 8, False),
    ],
    ids=["all alike", "large map", "a child"],
)
def test_only_small_maps_of_full_cells_go_together(plan: list[list[str]], size: int, is_taken: bool) -> None:
    assert is_mixable(cell(plan), torch.zeros(1, 2, size, size)) is is_taken


def test_every_edge_leaves_in_one_wave() -> None:
    ends = [(node, s) for w in waves(cell([["skip_connect"]] * 14)) for node in range(w.first, 4) for s in w.sources]
    assert sorted(ends) == [(node, source) for node in range(4) for source in range(node + 2)]


def test_rows_are_normalised_as_channels_are_to_the_third_derivative() -> None:
    x = draw((3, 6), "rows")

    def derivatives(out: Tensor) -> list[Tensor]:
        found = [out]
        for _ in range(3):
            found += torch.autograd.grad((found[-1].pow(3) + found[-1]).sum(), [x], create_graph=True)
        return found

    slow = standardise(x.T[:, :, None, None], EPS)[:, :, 0, 0].T
    for a, b in zip(derivatives(normalise_rows(x)), derivatives(slow), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
