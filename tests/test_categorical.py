"""Entropies and divergences of the distributions that logits stand for."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Categorical
from torch.distributions import kl_divergence as reference

from metanas.categorical import entropy, kl_divergence

LOGITS = st.lists(st.floats(-30, 30), min_size=3, max_size=3)


def test_divergence_by_hand() -> None:
    """q = (1/2, 1/2), p = (1/4, 3/4): ln 2 / 2 + ln(2/3) / 2."""
    q, p = (torch.tensor(values, dtype=torch.float64).log() for values in ([0.5, 0.5], [0.25, 0.75]))
    assert kl_divergence(q, p).item() == pytest.approx((math.log(2) + math.log(2 / 3)) / 2, rel=1e-12)
    assert kl_divergence(p, q).item() == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5), rel=1e-12)


def test_entropy_by_hand() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0], [50.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    assert entropy(logits).tolist() == pytest.approx([math.log(4), 0.0], abs=1e-12)


@given(LOGITS, LOGITS, st.floats(-5, 5))
def test_divergence_is_that_of_torch_at_least_zero_and_zero_at_the_prior(
    one: list[float], other: list[float], shift: float
) -> None:
    q, p = (torch.tensor([values], dtype=torch.float64) for values in (one, other))
    found = kl_divergence(q, p)
    torch.testing.assert_close(found, reference(Categorical(logits=q), Categorical(logits=p)), rtol=1e-9, atol=1e-12)
    assert found.item() >= -1e-14
    assert kl_divergence(q, q + shift).item() == pytest.approx(0.0, abs=1e-13)
    torch.testing.assert_close(entropy(q), Categorical(logits=q).entropy(), rtol=1e-9, atol=1e-12)


@given(LOGITS)
def test_a_posterior_at_its_prior_is_not_pulled_at_all(values: list[float]) -> None:
    """To the bit, in single precision."""
    q, p = (torch.tensor([values]).requires_grad_() for _ in range(2))
    value = 0.3 * kl_divergence(q, p).sum()
    assert value.item() == 0
    for gradient in torch.autograd.grad(value, (q, p)):
        assert not gradient.any()
