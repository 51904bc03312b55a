"""Soft pruning: operations compete on an edge and pairs of inputs at a node, in float64."""

import pytest
import torch

from metanas.errors import ConfigError
from metanas.relax.soft_pruning import SoftPruning
from metanas.spaces.fewshot import PRIMITIVES, FewShot
from tasks.stream import stream

SPACE = FewShot(width=2, nodes=3)
ARCH = {k: torch.randn(a.shape, generator=stream(0, k), dtype=torch.float64) for k, a in SPACE.logits().items()}
NONE = PRIMITIVES.index("none")
NODES = (slice(0, 2), slice(2, 5), slice(5, 9))


@pytest.mark.parametrize("temperature", [10.0, 1.0, 0.1])
def test_two_inputs_enter_a_node_and_one_operation_an_edge(temperature: float) -> None:
    for gates in SoftPruning(NONE, threshold=0.0)(ARCH, temperature, {}).values():
        assert not gates[:, NONE].any()
        for rows in NODES:
            assert gates[rows].sum().item() == pytest.approx(2)
        assert (gates.sum(-1) <= 1 + 1e-12).all()


def test_by_hand() -> None:
    """Three inputs of strengths log 1/2, log 1/3, log 1/4 at temperature 1: pairs as 1/6 : 1/8 : 1/12."""
    probabilities = torch.tensor(
        [[1 / 2, 1 / 2], [1 / 2, 1 / 2], [1 / 2, 1 / 2], [1 / 3, 2 / 3], [1 / 4, 3 / 4]]
    ).double()
    gates = SoftPruning(none=1, threshold=0.0)({"normal": probabilities.log()}, 1.0, {})["normal"]
    a, b, c = 1 / 6, 1 / 8, 1 / 12
    expected = [1, 1, (a + b) / (a + b + c), (a + c) / (a + b + c), (b + c) / (a + b + c)]
    torch.testing.assert_close(gates[:, 0], torch.tensor(expected).double())
    assert not gates[:, 1].any()


def test_a_low_temperature_gives_the_decoded_cell() -> None:
    gates, hard = SoftPruning(NONE)(ARCH, 1e-3, {}), SPACE.harden(ARCH)
    for kind in ARCH:
        kept = torch.arange(len(PRIMITIVES)) != NONE
        torch.testing.assert_close(gates[kind][:, kept], hard[kind][:, kept])


def test_small_gates_are_zero_and_the_others_as_without_a_threshold() -> None:
    free, pruned = (SoftPruning(NONE, threshold)(ARCH, 0.5, {}) for threshold in (0.0, 0.05))
    for kind in ARCH:
        assert torch.equal(pruned[kind], free[kind] * (free[kind] > 0.05))
        assert (pruned[kind] == 0).sum() > (free[kind] == 0).sum()


def test_gradients_agree_with_finite_differences() -> None:
    arch = {k: a.clone().requires_grad_() for k, a in ARCH.items()}
    rule = SoftPruning(NONE, threshold=0.0)
    assert torch.autograd.gradcheck(lambda a: rule({"normal": a}, 0.7, {})["normal"], arch["normal"])


def test_folded_tasks_equal_one_after_another() -> None:
    two = {k: torch.stack([a, -a]) for k, a in ARCH.items()}
    rule = SoftPruning(NONE)
    for kind, gates in rule(two, 0.3, {}).items():
        for task, sign in enumerate((1, -1)):
            torch.testing.assert_close(gates[task], rule({kind: sign * ARCH[kind]}, 0.3, {})[kind])


def test_what_cannot_be_pruned_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"nodes have 2, 3, ... inputs, got a cell of 6 edges"):
        SoftPruning()({"cell": torch.zeros(6, 5)}, 1.0, {})
    with pytest.raises(ConfigError, match="soft pruning needs a temperature above 0, got 0"):
        SoftPruning()(ARCH, 0.0, {})
