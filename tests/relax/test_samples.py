"""The gates of GDAS and DrNAS: their statistics, and where their gradients come from."""

import pytest
import torch

from metanas.errors import ConfigError
from metanas.relax.dirichlet import Dirichlet, concentration
from metanas.relax.gumbel_argmax import GumbelArgmax
from metanas.relax.softmax import Softmax
from metanas.spaces.space import NEVER
from tasks.stream import stream

LOGITS = torch.tensor([[0.3, -0.4, 1.0], [0.0, 0.0, -1.0]], dtype=torch.float64)
MANY = 20000


def many() -> dict[str, torch.Tensor]:
    """The same logits for many cells at once."""
    return {"normal": LOGITS.expand(MANY, 2, 3)}


def drawn(relaxation: Softmax | GumbelArgmax | Dirichlet, temperature: float) -> torch.Tensor:
    arch = many()
    return relaxation(arch, temperature, relaxation.draw(arch, stream(0, "noise")))["normal"]


@pytest.mark.parametrize("temperature", [0.1, 10.0])
def test_gdas_samples_operations_as_often_as_their_probabilities(temperature: float) -> None:
    gates = drawn(GumbelArgmax(), temperature)
    assert ((gates == 0) | (gates == 1)).all()
    assert (gates.sum(-1) == 1).all()
    torch.testing.assert_close(gates.mean(0), torch.softmax(LOGITS, -1), atol=0.015, rtol=0)


def test_snas_approaches_a_sample_as_the_temperature_falls() -> None:
    soft, hard = drawn(Softmax(sample=True), 1.0), drawn(Softmax(sample=True), 0.01)
    torch.testing.assert_close(soft.sum(-1), torch.ones(MANY, 2, dtype=torch.float64))
    assert soft.max(-1).values.mean() < 0.8
    assert hard.max(-1).values.mean() > 0.98
    torch.testing.assert_close(hard.mean(0), torch.softmax(LOGITS, -1), atol=0.015, rtol=0)


def test_gdas_learns_through_the_sampled_operation_alone() -> None:
    arch = {"normal": LOGITS.clone().requires_grad_()}
    relaxation = GumbelArgmax()
    noise = relaxation.draw(arch, stream(1, "noise"))
    values = torch.randn(2, 3, generator=stream(0, "values"), dtype=torch.float64)
    gates = relaxation(arch, 0.7, noise)["normal"]
    (found,) = torch.autograd.grad((gates * values).sum(), arch["normal"])
    p = torch.softmax((torch.log_softmax(arch["normal"], -1) + noise["normal"]) / 0.7, -1)
    taken = torch.nn.functional.one_hot(p.argmax(-1), 3)
    (expected,) = torch.autograd.grad((taken * p * values).sum(), arch["normal"])
    torch.testing.assert_close(found, expected)


def test_gdas_needs_a_temperature() -> None:
    with pytest.raises(ConfigError, match="above 0, got 0"):
        GumbelArgmax()({"normal": LOGITS}, 0.0, {})


def test_drnas_samples_have_the_mean_of_the_dirichlet_and_noiseless_gates_are_it() -> None:
    c = concentration(LOGITS)
    mean = c / c.sum(-1, keepdim=True)
    gates = drawn(Dirichlet(), 1.0)
    torch.testing.assert_close(gates.mean(0), mean, atol=0.01, rtol=0)
    variance = mean * (1 - mean) / (c.sum(-1, keepdim=True) + 1)
    torch.testing.assert_close(gates.var(0), variance, atol=0.01, rtol=0)
    torch.testing.assert_close(Dirichlet()({"normal": LOGITS}, 1.0, {})["normal"], mean)


def test_the_pathwise_gradient_of_drnas_has_the_slope_of_the_expectation() -> None:
    """d E[sum of squared gates] / d logits in closed form, against the mean over samples."""
    values = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)

    def expectation(logits: torch.Tensor) -> torch.Tensor:
        c = concentration(logits)
        total = c.sum(-1, keepdim=True)
        return (values * c * (c + 1) / (total * (total + 1))).sum()

    exact_at = LOGITS.clone().requires_grad_()
    (exact,) = torch.autograd.grad(expectation(exact_at), exact_at)
    logits = LOGITS.clone().requires_grad_()
    arch = {"normal": logits.expand(MANY, 2, 3)}
    gates = Dirichlet()(arch, 1.0, Dirichlet().draw(arch, stream(0, "noise")))["normal"]
    (found,) = torch.autograd.grad((values * gates**2).sum() / MANY, logits)
    torch.testing.assert_close(found, exact, atol=0.01, rtol=0)


def test_very_small_logits_give_finite_samples_and_gradients() -> None:
    logits = torch.full((3, 4), -60.0, requires_grad=True)
    arch = {"normal": logits}
    gates = Dirichlet()(arch, 1.0, Dirichlet().draw(arch, stream(0, "noise")))["normal"]
    gates[:, 0].sum().backward()
    assert gates.isfinite().all()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_what_is_left_out_of_an_edge_has_no_mass_and_changes_nothing_else() -> None:
    """The rest is drawn, and learns, as if the option had never been."""
    left = torch.cat([LOGITS, torch.full((2, 1), NEVER, dtype=torch.float64)], -1)
    arch = {"normal": left.expand(MANY, 2, 4)}
    sample = Dirichlet().draw(arch, stream(0, "noise"))
    assert not sample["normal"][..., 3].any()
    c = concentration(LOGITS)
    mean = c / c.sum(-1, keepdim=True)
    torch.testing.assert_close(sample["normal"][..., :3].mean(0), mean, atol=0.01, rtol=0)
    torch.testing.assert_close(Dirichlet()({"normal": left}, 1.0, {})["normal"][:, :3], mean)
    values = torch.randn(2, 4, generator=stream(0, "values"), dtype=torch.float64)

    def slope(logits: torch.Tensor) -> torch.Tensor:
        leaf, options = logits.clone().requires_grad_(), logits.shape[-1]
        gates = Dirichlet()({"normal": leaf}, 1.0, {"normal": sample["normal"][0, :, :options]})["normal"]
        return torch.autograd.grad((gates * values[:, :options]).sum(), leaf)[0]

    found = slope(left)
    assert not found[:, 3].any()
    torch.testing.assert_close(found[:, :3], slope(LOGITS))
