"""Drop path: what it keeps on average, what it never drops, and the same seed."""

import pytest
import torch
from torch import nn

from metanas.networks.cell import Cell
from metanas.networks.cifar import cifar_network
from metanas.networks.drop_path import DropPath, scheduled
from metanas.spaces.cell_genotype import CellGraph
from metanas.spaces.space import CellEdge
from metanas.spaces.zoo import published
from tasks.stream import stream


def test_the_expectation_is_the_identity() -> None:
    x = torch.full((40_000, 1, 1, 1), 3.0, dtype=torch.float64)
    out = DropPath(0.3, stream(0, "drop"))(x)
    assert set(out.unique().tolist()) == {0.0, 3.0 / 0.7}
    assert out.mean().item() == pytest.approx(3.0, abs=5 * 3 * (0.3 / 0.7 / 40_000) ** 0.5)  # five standard errors


def test_an_image_is_dropped_as_a_whole_and_by_itself() -> None:
    out = DropPath(0.5, stream(0, "drop"))(torch.ones(64, 3, 4, 4))
    by_image = out.flatten(1)
    assert (by_image == by_image[:, :1]).all()
    assert 10 < (by_image[:, 0] == 0).sum() < 54


def test_the_gradient_reaches_the_kept_images_alone() -> None:
    x = torch.ones(64, 2, 1, 1, requires_grad=True)
    out = DropPath(0.25, stream(0, "drop"))(x)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert torch.equal(gradient, out.detach())


def test_probability_zero_changes_nothing_and_draws_nothing() -> None:
    rng = stream(0, "drop")
    before = rng.get_state()
    x = torch.rand(4, 2, 3, 3)
    assert DropPath(0.0, rng)(x) is x
    assert torch.equal(rng.get_state(), before)


@pytest.mark.parametrize("prob", [-0.1, 1.0, float("nan")])
def test_an_impossible_probability_is_refused(prob: float) -> None:
    with pytest.raises(ValueError, match=f"at least 0 and below 1, got {prob}"):
        DropPath(prob, stream(0, "drop"))(torch.rand(1, 1, 1, 1))


def test_identity_edges_are_never_dropped() -> None:
    """At stride 1 a skip is an identity; at stride 2 it computes something and is dropped like the rest."""
    skips = CellGraph((CellEdge(0, 2, "skip_connect"), CellEdge(1, 2, "max_pool_3x3")), (2,))
    almost_all = DropPath(1 - 1e-9, stream(0, "drop"))
    s0, s1 = torch.rand(2, 4, 8, 8), torch.rand(2, 4, 8, 8)
    for reduction in (False, True):
        cell = Cell(skips, (4, 4, 4), reduction=reduction, after_reduction=False)
        out = cell(s0, s1, almost_all)
        expected = torch.zeros_like(out) if reduction else cell.input0(s0)
        assert torch.equal(out, expected)
        assert not torch.equal(cell.eval()(s0, s1, almost_all), expected)  # evaluation drops nothing


def test_the_same_seed_gives_the_same_bits() -> None:
    net = cifar_network(published("nasnet_a"), width=2, depth=3)
    for norm in (module for module in net.modules() if isinstance(module, nn.BatchNorm2d)):
        norm.momentum = 0.0
    x = torch.rand(4, 3, 8, 8)
    first, again, other = (net(x, DropPath(0.5, stream(seed, "drop"))).logits for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(net(x, DropPath(0.0, stream(0, "drop"))).logits, net(x).logits)


def test_the_schedule_is_linear() -> None:
    assert [scheduled(0.2, progress) for progress in (0.0, 0.5, 1.0)] == [0.0, 0.1, 0.2]
