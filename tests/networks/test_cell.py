"""A derived cell against a plain one, and whole networks of all published cells."""

import pytest
import torch

from metanas.errors import ConfigError, GenotypeError
from metanas.networks.cell import Cell
from metanas.networks.cifar import cifar_network
from metanas.networks.imagenet import imagenet_network
from metanas.networks.ops import OPS
from metanas.spaces.cell_genotype import OPERATIONS, CellGraph
from metanas.spaces.space import CellEdge
from metanas.spaces.zoo import ZOO, published
from tasks.stream import stream

from .plain import plain_cell, plain_network, random_weights

EVERY_OP = CellGraph(
    tuple(CellEdge(i % (2 + i // 2), 2 + i // 2, op) for i, op in enumerate((*OPERATIONS, "skip_connect"))), (3, 2, 6)
)
WIDTH = 4


@pytest.mark.parametrize(("reduction", "after"), [(False, False), (True, False), (False, True)])
def test_equals_the_plain_cell(reduction: bool, after: bool) -> None:
    cell = Cell(EVERY_OP, (6, 8, WIDTH), reduction=reduction, after_reduction=after).double().eval()
    weights = random_weights(cell)
    rng = stream(0, "images")
    s0 = torch.randn(2, 6, *((16, 16) if after else (8, 8)), generator=rng, dtype=torch.float64)
    s1 = torch.randn(2, 8, 8, 8, generator=rng, dtype=torch.float64)
    expected = plain_cell(EVERY_OP, weights, s0, s1, reduction=reduction, after=after)
    assert expected.shape == (2, 3 * WIDTH, *((4, 4) if reduction else (8, 8)))
    torch.testing.assert_close(cell(s0, s1), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("is_imagenet", [False, True])
def test_the_network_of_every_published_cell_equals_the_plain_one(name: str, is_imagenet: bool) -> None:
    build, size = (imagenet_network, 64) if is_imagenet else (cifar_network, 16)
    net = build(published(name), width=WIDTH, depth=5, n_classes=3).double().eval()
    weights = random_weights(net)
    x = torch.randn(2, 3, size, size, generator=stream(0, "images"), dtype=torch.float64)
    expected = plain_network(published(name), weights, x, depth=5, is_imagenet=is_imagenet)
    assert expected.abs().max() > 1e-6
    torch.testing.assert_close(net(x).logits, expected, rtol=1e-9, atol=0)


def test_the_graph_of_these_tests_has_every_operation_at_both_strides() -> None:
    assert {edge.op for edge in EVERY_OP.edges} == set(OPS) == set(OPERATIONS)


def test_norms_have_scale_shift_and_running_statistics_and_pools_have_no_norm() -> None:
    cell = Cell(EVERY_OP, (6, 8, WIDTH), reduction=False, after_reduction=False)
    norms = [module for module in cell.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert len(norms) == 2 + 2 * 3 + 2 + 1  # inputs, separable, dilated, 7x1
    assert all(norm.affine and norm.track_running_stats for norm in norms)


@pytest.mark.parametrize("size", [(7, 7), (8, 5)])
def test_odd_maps_are_halved_upwards(size: tuple[int, int]) -> None:
    cell = Cell(EVERY_OP, (6, 8, WIDTH), reduction=True, after_reduction=True).eval()
    larger = tuple(2 * length - 1 for length in size)
    out = cell(torch.rand(1, 6, *larger), torch.rand(1, 8, *size))
    assert out.shape[2:] == tuple((length + 1) // 2 for length in size)


def test_impossible_cells_are_refused() -> None:
    with pytest.raises(GenotypeError, match=r"reduce_concat: expected nodes out of 2..6"):
        Cell(EVERY_OP._replace(concat=(7,)), (6, 8, 4), reduction=True, after_reduction=False)
    with pytest.raises(ConfigError, match="must be even and at least 2, got 3"):
        Cell(EVERY_OP, (6, 8, 3), reduction=False, after_reduction=False)
