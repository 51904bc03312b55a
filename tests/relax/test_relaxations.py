"""Softmax and straight-through gates."""

import pytest
import torch

from metanas.errors import ConfigError
from metanas.relax.relaxation import gumbel
from metanas.relax.softmax import Softmax
from metanas.relax.straight_through import StraightThrough
from metanas.spaces.fewshot import FewShot
from tasks.stream import stream

SPACE = FewShot(width=2, nodes=3)


def random_arch(seed: int = 0) -> dict[str, torch.Tensor]:
    return {
        kind: torch.randn(table.shape, generator=stream(seed, kind), dtype=torch.float64).requires_grad_()
        for kind, table in SPACE.logits().items()
    }


def test_softmax_gates_approach_a_decision_as_the_temperature_falls() -> None:
    arch = random_arch()
    gates = Softmax()(arch, 1e-5, {})["normal"]
    assert torch.allclose(gates.max(-1).values, torch.ones(9, dtype=torch.float64))


def test_softmax_refuses_temperature_zero() -> None:
    with pytest.raises(ConfigError, match="temperature above 0, got 0"):
        Softmax()(random_arch(), 0, {})


def test_straight_through_gates_are_exactly_the_decoded_architecture() -> None:
    arch = random_arch()
    gates = StraightThrough(SPACE.harden)(arch, 0.0, {})
    for kind, table in SPACE.encode(SPACE.decode(arch)).items():
        assert torch.equal(gates[kind], table.double())


def test_straight_through_gradient_is_that_of_the_softmax_at_the_taken_options() -> None:
    arch = random_arch()
    rng = stream(1, "cotangent")
    gates = StraightThrough(SPACE.harden)(arch, 0.0, {})["normal"]
    along = torch.randn(gates.shape, generator=rng, dtype=torch.float64)
    (found,) = torch.autograd.grad((gates * along).sum(), arch["normal"])
    p = torch.softmax(arch["normal"], -1)
    taken = gates.detach()
    (expected,) = torch.autograd.grad((p * taken * along).sum(), arch["normal"])
    torch.testing.assert_close(found, expected)


def test_noise_draws_architectures_in_proportion_to_their_probability() -> None:
    """One node, so two edges are always kept: each draws its operation from the softmax without `none`."""
    space = FewShot(width=2, nodes=1)
    arch = {kind: torch.zeros_like(table) for kind, table in space.logits().items()}
    arch["normal"][0, 4] = 2.0
    relaxation = StraightThrough(space.harden)
    n = 2000
    taken = sum(relaxation(arch, 1.0, gumbel(arch, stream(i, "noise")))["normal"][0, 4].item() for i in range(n))
    p = torch.tensor(2.0).exp() / (torch.tensor(2.0).exp() + 6)
    assert taken / n == pytest.approx(p.item(), abs=4 * (p.item() * (1 - p.item()) / n) ** 0.5)


def test_gumbel_noise_is_a_function_of_its_stream_and_finite() -> None:
    arch = random_arch()
    a, b = gumbel(arch, stream(0, "noise")), gumbel(arch, stream(0, "noise"))
    assert all(torch.equal(a[kind], b[kind]) and torch.isfinite(a[kind]).all() for kind in arch)
