"""Every architecture gradient against finite differences of what it claims to differentiate, in float64."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from metanas.objective import Classification
from metanas.params import MetaParams, Params, detach
from metanas.relax.softmax import Softmax
from metanas.search.arch_gradient import ArchGradient, WeightStep
from metanas.search.finite_difference import FiniteDifference
from metanas.search.first_order import FirstOrder
from metanas.search.unrolled import Unrolled
from tasks.stream import stream

GRADIENTS: dict[str, ArchGradient] = {
    "first_order": FirstOrder(),
    "unrolled": Unrolled(),
    "finite_difference": FiniteDifference(),
}


def weight_step(small) -> WeightStep:
    buffer = {
        k: torch.randn(w.shape, generator=stream(1, k), dtype=torch.float64) / 10
        for k, w in small.start.weights.items()
    }
    return WeightStep(0.3, 0.9, 3e-2, buffer)


def moved_by_hand(loss: Classification, weights: Params, arch: Params, small, step: WeightStep) -> Params:
    """The step of SGD with momentum and decay, written out."""
    leaves = detach(MetaParams(weights, {}), requires_grad=True).weights
    found = torch.autograd.grad(loss(MetaParams(leaves, arch), small.train), list(leaves.values()), allow_unused=True)
    return {
        k: w - step.lr * (step.momentum * step.buffer[k] + (0 if g is None else g) + step.decay * w)
        for (k, w), g in zip(weights.items(), found, strict=True)
    }


def slope(value: Callable[[Params], Tensor], at: Params, along: Params) -> float:
    h = 1e-5
    plus, minus = ({k: t + s * h * along[k] for k, t in at.items()} for s in (1, -1))
    return float((value(plus) - value(minus)) / (2 * h))


def dot(a: Params, b: Params) -> float:
    return float(sum((a[k] * b[k]).sum() for k in a))


@pytest.fixture
def loss(small) -> Classification:
    return Classification(small.net, Softmax())


@pytest.mark.parametrize("i", range(3))
def test_first_order_is_the_slope_at_the_present_weights(small, loss: Classification, i: int) -> None:
    found = FirstOrder()(loss, small.start, small.train, small.valid, weight_step(small))
    along = {k: torch.randn(a.shape, generator=stream(i, k), dtype=torch.float64) for k, a in small.start.arch.items()}
    expected = slope(lambda arch: loss(MetaParams(small.start.weights, arch), small.valid), small.start.arch, along)
    assert dot(found.gradient, along) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("i", range(3))
def test_the_exact_second_order_is_the_slope_of_the_unrolled_objective(small, loss: Classification, i: int) -> None:
    step = weight_step(small)

    def unrolled(arch: Params) -> Tensor:
        return loss(MetaParams(moved_by_hand(loss, small.start.weights, arch, small, step), arch), small.valid)

    found = Unrolled()(loss, small.start, small.train, small.valid, step)
    assert float(found.loss) == pytest.approx(float(unrolled(small.start.arch)), rel=1e-12)
    along = {k: torch.randn(a.shape, generator=stream(i, k), dtype=torch.float64) for k, a in small.start.arch.items()}
    assert dot(found.gradient, along) == pytest.approx(slope(unrolled, small.start.arch, along), rel=1e-5)


def test_the_finite_difference_approximates_the_exact_one_and_first_order_does_not(small, loss) -> None:
    step = weight_step(small)
    # A move so short that it crosses no kink of ReLU or pooling.
    exact, near, far = (
        torch.cat([g.flatten() for g in gradient(loss, small.start, small.train, small.valid, step).gradient.values()])
        for gradient in (Unrolled(), FiniteDifference(1e-4), FirstOrder())
    )
    assert (near - exact).norm() < 1e-6 * exact.norm()
    assert (far - exact).norm() > 5e-2 * exact.norm()


def test_the_product_is_divided_by_twice_its_length() -> None:
    """On L_train = w A a the mixed second derivative is A, and central differences are exact."""
    matrix = torch.randn(3, 2, generator=stream(0, "A"), dtype=torch.float64)
    target = torch.randn(3, generator=stream(0, "t"), dtype=torch.float64)

    def bilinear(params: MetaParams, batch: object) -> Tensor:
        w, a = params.weights["w"], params.arch["a"]
        return w @ matrix @ a if batch == "train" else ((w - target) ** 2).sum() / 2 + a.sum()

    w, a = (torch.randn(n, generator=stream(0, str(n)), dtype=torch.float64) for n in (3, 2))
    step = WeightStep(0.1, 0.0, 0.0, {"w": torch.zeros(3, dtype=torch.float64)})
    found = FiniteDifference()(bilinear, MetaParams({"w": w}, {"a": a}), "train", "valid", step).gradient["a"]  # type: ignore[arg-type]
    v = w - 0.1 * matrix @ a - target
    torch.testing.assert_close(found, 1 - 0.1 * matrix.T @ v, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("gradient", GRADIENTS.values(), ids=GRADIENTS)
class TestArchGradient:
    def test_is_one_and_leaves_its_arguments_alone(self, small, loss: Classification, gradient: ArchGradient) -> None:
        assert isinstance(gradient, ArchGradient)
        before = {k: t.clone() for k, t in (small.start.weights | small.start.arch).items()}
        found = gradient(loss, small.start, small.train, small.valid, weight_step(small))
        assert {k: g.shape for k, g in found.gradient.items()} == {k: a.shape for k, a in small.start.arch.items()}
        assert all(torch.equal(before[k], t) for k, t in (small.start.weights | small.start.arch).items())
        assert not any(g.requires_grad for g in found.gradient.values())

    def test_follows_the_weights(self, small, loss: Classification, gradient: ArchGradient) -> None:
        step = weight_step(small)
        here = gradient(loss, small.start, small.train, small.valid, step).gradient
        weights = {k: w * 1.5 for k, w in small.start.weights.items()}
        there = gradient(loss, MetaParams(weights, small.start.arch), small.train, small.valid, step).gradient
        assert not any(torch.equal(here[k], there[k]) for k in here)
