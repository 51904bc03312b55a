"""Meta-gradients against finite differences, closed forms, `higher` and `learn2learn`, in float64."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from metanas.meta.adapt import Inner, adapt
from metanas.meta.batch import merge
from metanas.meta.maml import Maml
from metanas.objective import Classification, LossFn
from metanas.params import MetaParams, detach, leaves, spread
from metanas.relax.relaxation import Relaxation
from metanas.relax.softmax import Softmax
from metanas.relax.straight_through import StraightThrough
from tasks.episode import Batch, Episode

from .conftest import Small, chunks, direction, dot, slope

RELAXATIONS: dict[str, Callable[[Small], Relaxation]] = {
    "softmax": lambda small: Softmax(),
    "straight_through": lambda small: StraightThrough(small.space.harden),
}


def one_task(episodes: Episode, task: int = 0) -> Episode:
    return chunks(episodes, 1)[task]


def outer_loss(loss: LossFn, start: MetaParams, episode: Episode, inner: Inner) -> float:
    """What MAML differentiates, as a number."""
    tasks = len(episode.support.y)
    end = adapt(loss, detach(spread(start, tasks), requires_grad=True), episode.support, inner)
    return loss(end, episode.query).sum().item()


@pytest.mark.parametrize(
    "inner",
    [
        Inner(1, 0.05, 0.5),
        Inner(3, 0.05, 0.5),
        Inner(2, 0.05, 0.5, moves="head"),
        Inner(2, 0.05, 0.5, moves="body"),
        Inner(2, 0.05, 0.5, alternate=True),
        Inner(2, 0.05, 0.0),
    ],
    ids=["one step", "three steps", "ANIL", "BOIL", "alternating", "Auto-MAML"],
)
def test_exact_gradient_agrees_with_finite_differences(small: Small, inner: Inner) -> None:
    """Along random directions of weights and of logits; softmax gates, so that the loss is smooth."""
    loss = Classification(small.net, Softmax())
    episode = one_task(small.episodes)
    gradient = Maml(inner)(loss, small.start, episode).gradient
    rng = torch.Generator().manual_seed(5)
    for group in ("weights", "arch"):
        for _ in range(3):
            along = direction(small.start, group, rng)
            expected = slope(lambda start: outer_loss(loss, start, episode, inner), small.start, along)
            assert dot(gradient, along) == pytest.approx(expected, rel=2e-5, abs=1e-8)


@pytest.mark.parametrize("tasks", [1, 3])
@pytest.mark.parametrize(("steps", "lr_arch"), [(1, 3.0), (3, 3.0), (3, 0.0)], ids=["1", "3", "3, Auto-MAML"])
def test_first_order_gradient_is_the_query_gradient_at_the_adapted_point(
    small: Small, steps: int, lr_arch: float, tasks: int
) -> None:
    """Summed over the tasks, and nothing of their support gradients; and so it is not the exact one."""
    loss = Classification(small.net, Softmax())
    inner = Inner(steps, 0.1, lr_arch, first_order=True)
    episode = chunks(small.episodes, tasks)[0]
    found = Maml(inner)(loss, small.start, episode).gradient
    end = detach(adapt(loss, detach(spread(small.start, tasks), requires_grad=True), episode.support, inner))
    end = detach(end, requires_grad=True)
    expected = torch.autograd.grad(loss(end, episode.query).sum(), leaves(end))
    for a, b in zip(leaves(found), expected, strict=True):
        torch.testing.assert_close(a, b.sum(0), rtol=1e-9, atol=1e-12)
    exact = Maml(replace(inner, first_order=False))(loss, small.start, episode).gradient
    assert not torch.allclose(found.arch["normal"], exact.arch["normal"])


def test_first_order_tends_to_exact_as_the_inner_rates_vanish(small: Small) -> None:
    loss, episode = Classification(small.net, Softmax()), one_task(small.episodes)
    first, exact = (
        Maml(Inner(3, 1e-8, 1e-8, first_order=order))(loss, small.start, episode).gradient for order in (True, False)
    )
    for a, b in zip(leaves(first), leaves(exact), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("relaxation", RELAXATIONS)
@pytest.mark.parametrize("first_order", [True, False])
def test_folded_tasks_and_chunks_equal_one_task_after_another(small: Small, relaxation: str, first_order: bool) -> None:
    loss = Classification(small.net, RELAXATIONS[relaxation](small), 1.0)
    maml = Maml(Inner(2, 0.1, 5.0, first_order))
    verdicts = [merge([maml(loss, small.start, part) for part in chunks(small.episodes, n)]) for n in (0, 1, 2)]
    for other in verdicts[1:]:
        torch.testing.assert_close(other.query_loss, verdicts[0].query_loss, rtol=1e-9, atol=1e-12)
        for a, b in zip(leaves(other.gradient), leaves(verdicts[0].gradient), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


def test_closed_form_on_a_quadratic() -> None:
    """L_S = (w - s)^2 / 2, L_Q = (w - q)^2 / 2: d L_Q(w_M) / d w = (1 - a)^M (w_M - q); first order: w_M - q."""

    def loss(params: MetaParams, batch: Batch) -> Tensor:
        return ((params.weights["w"] - batch.x) ** 2).sum(-1) / 2

    start = MetaParams({"w": torch.tensor([2.0], dtype=torch.float64)}, {})
    episodes = Episode(
        Batch(torch.tensor([[0.5]], dtype=torch.float64), torch.zeros(1, 1)),
        Batch(torch.tensor([[-1.0]], dtype=torch.float64), torch.zeros(1, 1)),
    )
    end = 0.5 + 1.5 * 0.8**3
    for first_order, factor in ((True, 1.0), (False, 0.8**3)):
        verdict = Maml(Inner(3, 0.2, 0.0, first_order))(loss, start, episodes)
        assert verdict.gradient.weights["w"].item() == pytest.approx(factor * (end + 1))
        assert verdict.query_loss.item() == pytest.approx((end + 1) ** 2 / 2)


class _Supernet(nn.Module):
    """The supernet with weights and logits as parameters of its own, as `higher` and `learn2learn` want a model."""

    def __init__(self, small: Small) -> None:
        super().__init__()
        self.skeleton = [small.net]  # in a list: its parameters are shapes, not ours
        self.names = [list(small.start.weights), list(small.start.arch)]
        self.values = nn.ParameterList([t.clone() for t in leaves(small.start)])

    def forward(self, x: Tensor) -> Tensor:
        params = dict(zip([*self.names[0], *self.names[1]], self.values, strict=True))
        gates = {k: torch.softmax(params[k], -1) for k in self.names[1]}
        out = functional_call(self.skeleton[0], {k: params[k] for k in self.names[0]}, (x, gates))
        assert isinstance(out, Tensor)
        return out


@pytest.mark.parametrize("first_order", [True, False])
def test_equals_higher(small: Small, first_order: bool) -> None:
    higher = pytest.importorskip("higher")
    episode = one_task(small.episodes)
    support, query = (Batch(b.x[0], b.y[0]) for b in episode)
    model = _Supernet(small)
    n = len(small.start.weights)
    values = list(model.values)
    optimiser = torch.optim.SGD([{"params": values[:n], "lr": 0.1}, {"params": values[n:], "lr": 2.0}])
    with higher.innerloop_ctx(model, optimiser, copy_initial_weights=False, track_higher_grads=not first_order) as (
        inner_model,
        inner_optimiser,
    ):
        for _ in range(2):
            inner_optimiser.step(nn.functional.cross_entropy(inner_model(support.x), support.y))
        query_loss = nn.functional.cross_entropy(inner_model(query.x), query.y)
        # first order in higher: the gradient at the adapted point
        ends = values if not first_order else list(inner_model.parameters())
        expected = torch.autograd.grad(query_loss, ends)
    verdict = Maml(Inner(2, 0.1, 2.0, first_order))(Classification(small.net, Softmax()), small.start, episode)
    assert verdict.query_loss.item() == pytest.approx(query_loss.item(), rel=1e-10)
    for a, b in zip(leaves(verdict.gradient), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("first_order", [True, False])
def test_equals_learn2learn(small: Small, first_order: bool) -> None:
    """learn2learn has one rate for all parameters."""
    from tasks._compat import torchvision  # noqa: F401 - learn2learn imports torchvision itself

    learn2learn = pytest.importorskip("learn2learn")
    episode = one_task(small.episodes, 1)
    support, query = (Batch(b.x[0], b.y[0]) for b in episode)
    model = _Supernet(small)
    learner = learn2learn.algorithms.MAML(model, lr=0.1, first_order=first_order).clone()
    for _ in range(2):
        learner.adapt(nn.functional.cross_entropy(learner(support.x), support.y))
    query_loss = nn.functional.cross_entropy(learner(query.x), query.y)
    expected = torch.autograd.grad(query_loss, list(model.values))
    verdict = Maml(Inner(2, 0.1, 0.1, first_order))(Classification(small.net, Softmax()), small.start, episode)
    assert verdict.query_loss.item() == pytest.approx(query_loss.item(), rel=1e-10)
    for a, b in zip(leaves(verdict.gradient), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("first_order", [True, False])
def test_anil_equals_learn2learn(small: Small, first_order: bool) -> None:
    """Its MAML of the classifier alone, on features that the supernet makes with its logits."""
    from tasks._compat import torchvision  # noqa: F401 - learn2learn imports torchvision itself

    learn2learn = pytest.importorskip("learn2learn")
    episode = one_task(small.episodes, 1)
    support, query = (Batch(b.x[0], b.y[0]) for b in episode)
    values = detach(small.start, requires_grad=True)
    gates = {name: torch.softmax(logits, -1) for name, logits in values.arch.items()}
    classifier = nn.Linear(*reversed(values.weights["head.weight"].shape)).double()
    classifier.load_state_dict({name: small.start.weights[f"head.{name}"] for name in ("weight", "bias")})
    learner = learn2learn.algorithms.MAML(classifier, lr=0.1, first_order=first_order).clone()

    def loss(batch: Batch) -> Tensor:
        features = functional_call(small.net, values.weights, (batch.x, gates), {"headless": True})
        return nn.functional.cross_entropy(learner(features), batch.y)

    for _ in range(2):
        learner.adapt(loss(support))
    query_loss = loss(query)
    verdict = Maml(Inner(2, 0.1, 0.0, first_order, moves="head"))(
        Classification(small.net, Softmax()), small.start, episode
    )
    assert verdict.query_loss.item() == pytest.approx(query_loss.item(), rel=1e-10)
    theirs = {f"head.{name}": value for name, value in classifier.named_parameters()}
    ours = values._replace(weights=values.weights | theirs)
    for a, b in zip(leaves(verdict.gradient), torch.autograd.grad(query_loss, leaves(ours)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-11)
