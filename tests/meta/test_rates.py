"""Learned step sizes: Meta-SGD and LSLR against finite differences, closed forms and learn2learn, in float64."""

import math

import pytest
import torch
from torch import Tensor, nn

from metanas.meta.adapt import Inner, adapt
from metanas.meta.maml import Maml
from metanas.meta.rates import RateKind
from metanas.objective import Classification
from metanas.params import MetaParams, detach, leaves, spread, tree_map
from metanas.relax.softmax import Softmax
from tasks.episode import Batch, Episode
from tasks.stream import stream

from .conftest import Small, chunks, direction, dot, slope


def with_rates(start: MetaParams, inner: Inner) -> MetaParams:
    """`start` with rates that a while of learning might have left."""
    start = inner.equipped(start)
    rng = stream(0, "rates")
    return start._replace(
        rates={k: torch.randn(r.shape, generator=rng, dtype=r.dtype) / 4 for k, r in start.rates.items()}
    )


@pytest.mark.parametrize("rates", ["layer", "layer_step", "element"])
@pytest.mark.parametrize("engine", ["plain", "higher"])
def test_the_gradient_of_all_three_groups_agrees_with_finite_differences(
    small: Small, rates: RateKind, engine: str
) -> None:
    if engine == "higher":
        pytest.importorskip("higher")
    loss = Classification(small.net, Softmax())
    inner = Inner(2, 0.05, 0.5, rates=rates, engine=engine)  # type: ignore[arg-type]
    episode = chunks(small.episodes, 1)[0]
    start = with_rates(small.start, inner)

    def outer_loss(start: MetaParams) -> float:
        return loss(
            adapt(loss, detach(spread(start, 1), requires_grad=True), episode.support, inner), episode.query
        ).item()

    gradient = Maml(inner)(loss, start, episode).gradient
    rng = torch.Generator().manual_seed(5)
    for group in ("weights", "arch", "rates"):
        along = direction(start, group, rng)
        assert dot(gradient, along) == pytest.approx(slope(outer_loss, start, along), rel=2e-5, abs=1e-8)
        assert dot(gradient, along) != 0


@pytest.mark.parametrize(("rates", "first_order"), [("layer", True), ("layer_step", False), ("element", True)])
def test_rates_that_have_learned_nothing_change_nothing(small: Small, rates: RateKind, first_order: bool) -> None:
    loss, episode = Classification(small.net, Softmax()), chunks(small.episodes, 1)[0]
    plain, learning = (Inner(2, 0.1, 2.0, first_order, rates=kind) for kind in ("fixed", rates))
    start = learning.equipped(small.start)
    found, expected = Maml(learning)(loss, start, episode), Maml(plain)(loss, small.start, episode)
    for a, b in zip(leaves(found.gradient._replace(rates={})), leaves(expected.gradient), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)
    assert all(g.any() for name, g in found.gradient.rates.items() if name.startswith("head"))


def quadratic(params: MetaParams, batch: Batch) -> Tensor:
    """|w - x|^2 / 2."""
    return (params.weights["w"] - batch.x).square().sum(-1) / 2


POINT = Batch(torch.tensor([[0.5]], dtype=torch.float64), torch.zeros(1, 1))


def at_two(rate: list[float]) -> MetaParams:
    start = MetaParams(
        {"w": torch.tensor([2.0], dtype=torch.float64)}, {}, {"w": torch.tensor([rate], dtype=torch.float64)}
    )
    return detach(spread(start, 1), requires_grad=True)


def test_every_step_has_its_own_rate_and_further_steps_the_last() -> None:
    rates = [math.log(0.5), math.log(2.0)]
    end = adapt(quadratic, at_two(rates), POINT, Inner(4, 0.2, 0.0, rates="layer_step"))
    assert end.weights["w"].item() == pytest.approx(0.5 + 1.5 * 0.9 * 0.6**3)


def test_closed_form_of_the_gradient_of_a_rate() -> None:
    """w_1 = s + (1 - a e^r)(w - s): d L_Q(w_1) / d r = -(w_1 - q) a e^r (w - s), at first order too."""
    episode = Episode(POINT, Batch(torch.tensor([[-1.0]], dtype=torch.float64), torch.zeros(1, 1)))
    for first_order in (True, False):
        start = detach(tree_map(lambda t: t[0], at_two([0.3])))
        verdict = Maml(Inner(1, 0.2, 0.0, first_order, rates="layer"))(quadratic, start, episode)
        size = 0.2 * math.exp(0.3)
        expected = -(0.5 + (1 - size) * 1.5 + 1) * size * 1.5
        assert verdict.gradient.rates["w"].item() == pytest.approx(expected)


@pytest.mark.parametrize("moves", ["all", "head", "body"])
def test_only_what_moves_has_a_rate(small: Small, moves: str) -> None:
    inner = Inner(3, 0.1, 0.0, moves=moves, rates="layer_step")  # type: ignore[arg-type]
    rates = inner.equipped(small.start).rates
    heads = {name for name in rates if name.startswith("head.")}
    assert bool(heads) == (moves != "body")
    assert (set(rates) == heads) == (moves == "head")
    assert not set(rates) & set(small.start.arch)
    assert {r.shape[-1] for r in rates.values()} == {3}
    assert not any(r.any() for r in rates.values())


@pytest.mark.parametrize("first_order", [True, False])
def test_elementwise_rates_equal_learn2learn(first_order: bool) -> None:
    """Its Meta-SGD learns the step sizes themselves: d / d log a = a d / d a."""
    from tasks._compat import torchvision  # noqa: F401 - learn2learn imports torchvision itself

    learn2learn = pytest.importorskip("learn2learn")
    rng = stream(0, "network")
    shapes = {"0.weight": (6, 4), "0.bias": (6,), "2.weight": (3, 6), "2.bias": (3,)}
    weights = {k: torch.randn(*shape, generator=rng, dtype=torch.float64) for k, shape in shapes.items()}
    x, y = torch.randn(2, 5, 4, generator=rng, dtype=torch.float64), torch.tensor([[0, 1, 2, 0, 1], [2, 1, 0, 0, 2]])
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    model.load_state_dict(weights)
    sgd = learn2learn.algorithms.MetaSGD(model, lr=0.2, first_order=first_order)
    learner = sgd.clone()
    for _ in range(2):
        learner.adapt(nn.functional.cross_entropy(learner(x[0]), y[0]))
    query_loss = nn.functional.cross_entropy(learner(x[1]), y[1])
    expected = torch.autograd.grad(query_loss, [*model.parameters(), *sgd.lrs])

    def loss(params: MetaParams, batch: Batch) -> Tensor:
        each = [
            nn.functional.cross_entropy(
                torch.func.functional_call(model, {k: w[i] for k, w in params.weights.items()}, (batch.x[i],)),
                batch.y[i],
            )
            for i in range(len(batch.y))
        ]
        return torch.stack(each)

    inner = Inner(2, 0.2, 0.0, first_order, rates="element")
    start = MetaParams(weights, {})
    start = inner.equipped(start)
    verdict = Maml(inner)(loss, start, Episode(Batch(x[:1], y[:1]), Batch(x[1:], y[1:])))
    assert verdict.query_loss.item() == pytest.approx(query_loss.item(), rel=1e-12)
    for name, slope_of_weight, slope_of_size in zip(weights, expected[:4], expected[4:], strict=True):
        torch.testing.assert_close(verdict.gradient.weights[name], slope_of_weight, rtol=1e-10, atol=1e-13)
        torch.testing.assert_close(verdict.gradient.rates[name][..., 0], 0.2 * slope_of_size, rtol=1e-10, atol=1e-13)
