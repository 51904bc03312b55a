"""Adam without momentum, alternating passes and a temperature that falls inside a task, in float64."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from metanas.config_file import load_experiment
from metanas.errors import ConfigError, NonFiniteError
from metanas.meta.adapt import Inner, adapt
from metanas.meta.batch import merge
from metanas.meta.learner import Descent
from metanas.meta.reptile import Reptile
from metanas.objective import Classification, LossFn, Staged
from metanas.optim import Outer
from metanas.params import MetaParams, detach, leaves, like, spread, tree_map, tree_norm
from metanas.relax.softmax import Softmax
from tasks.episode import Batch, Episode

from .conftest import Small, chunks


def adapted(small: Small, inner: Inner, loss: LossFn | None = None) -> MetaParams:
    loss = loss or Classification(small.net, Softmax())
    start = detach(spread(small.start, 3), requires_grad=True)
    return adapt(loss, start, small.episodes.support, replace(inner, first_order=True))


class TorchAdam:
    """torch's Adam on the weights and the logits of `small`, as MetaNAS has it; it lives as long as it is kept."""

    def __init__(self, small: Small, *, alternate: bool) -> None:
        self.small, self.alternate = small, alternate
        self.values = [nn.Parameter(t[None].clone()) for t in leaves(small.start)]
        n, constants = len(small.start.weights), {"betas": (0.0, 0.999), "eps": 1e-8}
        self.arch = self.values[n:]
        groups = [(self.arch, 0.1), (self.values[:n], 0.01)]
        self.optimisers = [torch.optim.Adam(group, lr=lr, **constants) for group, lr in groups]  # type: ignore[arg-type]

    def steps(self, images: Batch, count: int) -> None:
        """Logits first, then the weights at the new logits, where they alternate."""
        loss = Classification(self.small.net, Softmax())
        for _ in range(count):
            for group in [self.optimisers[:1], self.optimisers[1:]] if self.alternate else [self.optimisers]:
                for parameter in self.values:
                    parameter.grad = None
                loss(like(self.small.start, self.values), images).sum().backward()  # type: ignore[no-untyped-call]
                for optimiser in group:
                    optimiser.step()

    def assert_found(self, found: list[Tensor]) -> None:
        for mine, theirs in zip(found, self.values, strict=True):
            torch.testing.assert_close(mine, theirs[0].detach(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("alternate", [False, True])
def test_equals_adam_by_torch(small: Small, alternate: bool) -> None:
    """Each task by itself."""
    found = adapted(small, Inner(4, 0.01, 0.1, optimiser="adam", alternate=alternate))
    for task in range(3):
        theirs = TorchAdam(small, alternate=alternate)
        theirs.steps(Batch(*(t[task : task + 1] for t in small.episodes.support)), 4)
        theirs.assert_found([t[task] for t in leaves(found)])


@pytest.mark.parametrize("alternate", [False, True])
def test_carried_squares_equal_an_adam_that_serves_all_tasks(small: Small, alternate: bool) -> None:
    """MetaNAS with one task a meta-batch and its outer rates, 1.0 and 0.6: torch's optimisers live on."""
    inner = Inner(3, 0.01, 0.1, optimiser="carried_adam", alternate=alternate)
    still = {"beta1_weights": 0.0, "beta1_arch": 0.0, "decay_arch": 0.0, "clip": 0.0}
    outer = Outer(lr_weights=0.01, lr_arch=0.06, optimiser="sgd", optimiser_arch="sgd", **still)  # type: ignore[arg-type]
    learner, theirs = Descent(Reptile(inner), outer), TorchAdam(small, alternate=alternate)
    state = learner.init(inner.equipped(small.start))
    for episode in chunks(small.episodes, 1):
        logits = [a.detach().clone() for a in theirs.arch]
        theirs.steps(Batch(*(torch.cat(pair, dim=1) for pair in zip(*episode, strict=True))), 3)
        with torch.no_grad():
            for a, before in zip(theirs.arch, logits, strict=True):
                a.copy_(before + 0.6 * (a - before))
        loss = Classification(small.net, Softmax())
        state, _ = learner.step(state, [learner.gradient(loss, state.params, episode)], 1.0)
        theirs.assert_found(leaves(state.params._replace(squares={})))


def test_carried_squares_become_the_mean_of_those_at_the_ends_of_the_tasks(small: Small) -> None:
    """And neither the step size, nor a schedule, nor clipping touches them; what rests has none."""
    loss, inner = Classification(small.net, Softmax()), Inner(2, 0.01, 0.0, optimiser="carried_adam")
    learner = Descent(Reptile(inner), Outer(lr_weights=1e-3, clip=1e-6))
    state = learner.init(inner.equipped(small.start))
    assert state.params.squares.keys() == small.start.weights.keys()
    parts = [learner.gradient(loss, state.params, part) for part in chunks(small.episodes, 1)]
    alone = [learner.step(state, [part], 0.1)[0].params.squares for part in parts]
    moved, metrics = learner.step(state, parts, 0.1)
    for name, square in moved.params.squares.items():
        torch.testing.assert_close(square, torch.stack([squares[name] for squares in alone]).mean(0))
        torch.testing.assert_close(square[..., 1], torch.full_like(square[..., 1], 1 - 0.999**2))
        assert bool((square[..., 0] > 0).any())
    norm = tree_norm(tree_map(lambda g: g / 3, merge(parts).gradient)._replace(squares={}))
    assert metrics["meta/grad_norm"] == pytest.approx(norm.item())
    assert not moved.optimiser.first.squares


def test_squares_that_are_too_large_for_their_type_are_not_carried_on(small: Small) -> None:
    """A gradient of 1e20 is a number, and its square is none: the step is refused, and names the tasks."""
    net = Classification(small.net, Softmax())
    inner = Inner(1, 1e-30, 0.0, optimiser="carried_adam")
    learner = Descent(Reptile(inner), Outer())
    start = tree_map(Tensor.float, inner.equipped(small.start))
    small_episodes = Episode(*(Batch(batch.x.float(), batch.y) for batch in small.episodes))
    verdict = learner.gradient(lambda params, batch: 1e22 * net(params, batch), start, small_episodes)
    assert verdict.query_loss.isfinite().all()
    with pytest.raises(NonFiniteError, match="the meta-gradient .* is not finite") as caught:
        learner.step(learner.init(start), [verdict], 1.0)
    assert caught.value.tasks == (0, 1, 2)


def test_a_new_task_begins_with_carried_squares_and_leaves_them(small: Small) -> None:
    """Adapting to one task changes nothing for the next one, and the first step is no longer a sign."""
    loss, inner = Classification(small.net, Softmax()), Inner(1, 0.01, 0.1, True, optimiser="carried_adam")
    learner = Descent(Reptile(inner), Outer())
    state = learner.init(inner.equipped(small.start))
    for _ in range(3):
        state, _ = learner.step(state, [learner.gradient(loss, state.params, small.episodes)], 1.0)
    start = detach(spread(state.params, 3), requires_grad=True)
    first, second = (adapt(loss, start, small.episodes.support, inner) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(leaves(first), leaves(second), strict=True))
    moves = (first.weights["head.weight"] - start.weights["head.weight"]).abs()
    assert not torch.allclose(moves[moves > 0], torch.tensor(0.01, dtype=moves.dtype), rtol=1e-2)
    anew = adapt(loss, start, small.episodes.support, replace(inner, optimiser="adam"))
    assert anew.squares.keys() == start.squares.keys()


def test_alternating_plain_steps_use_the_new_logits(small: Small) -> None:
    both, apart = (adapted(small, Inner(1, 0.1, 2.0, alternate=alternate)) for alternate in (False, True))
    for kind in both.arch:
        assert torch.equal(both.arch[kind], apart.arch[kind])
    frozen = small.start._replace(arch={kind: logits[0] for kind, logits in both.arch.items()})
    for task in range(3):
        images = Batch(*(t[task] for t in small.episodes.support))
        start = detach(frozen._replace(arch={k: a[task] for k, a in both.arch.items()}), requires_grad=True)
        expected = adapt(Classification(small.net, Softmax()), start, images, Inner(1, 0.1, 0.0, first_order=True))
        for name, w in expected.weights.items():
            torch.testing.assert_close(apart.weights[name][task], w, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("alternate", [False, True])
def test_after_the_steps_of_the_logits_the_weights_move_alone(small: Small, alternate: bool) -> None:
    inner = Inner(2, 0.1, 2.0, alternate=alternate)
    first = adapted(small, inner)
    more = adapted(small, replace(inner, steps=4, arch_steps=2))
    never = adapted(small, replace(inner, arch_steps=0))
    for kind in first.arch:
        assert torch.equal(first.arch[kind], more.arch[kind])
        assert torch.equal(never.arch[kind][0], small.start.arch[kind])
    assert not torch.equal(first.weights["head.weight"], more.weights["head.weight"])
    assert not torch.equal(never.weights["head.weight"][0], small.start.weights["head.weight"])


class Recorded:
    """A relaxation that remembers its temperatures."""

    sparse = False

    def __init__(self) -> None:
        self.temperatures: list[float] = []

    def __call__(self, arch: dict, temperature: float, noise: dict) -> dict:
        self.temperatures.append(round(temperature, 9))
        return Softmax()(arch, temperature, noise)


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        (Inner(1), [0.1]),
        (Inner(4), [1.0, 0.7, 0.4, 0.1]),
        (Inner(4, arch_steps=2), [1.0, 0.1, 0.1, 0.1]),
        (Inner(2, alternate=True), [1.0, 1.0, 0.1, 0.1]),
        (Inner(2, arch_steps=0), [0.1, 0.1]),
    ],
)
def test_the_temperature_falls_from_the_first_step_to_the_last(
    small: Small, inner: Inner, expected: list[float]
) -> None:
    rule = Recorded()
    loss = Classification(small.net, rule, 0.1, temperature_first=1.0)  # type: ignore[arg-type]
    assert isinstance(loss, Staged)
    adapted(small, inner, loss)
    assert rule.temperatures == expected
    loss(spread(small.start, 3), small.episodes.support)
    assert rule.temperatures[-1] == 0.1


def test_a_temperature_that_does_not_fall_changes_no_bit(small: Small) -> None:
    inner = Inner(2, 0.1, 2.0)
    plain = adapted(small, inner, Classification(small.net, Softmax(), 0.5))
    flat = adapted(small, inner, Classification(small.net, Softmax(), 0.5, temperature_first=0.5))
    assert all(torch.equal(a, b) for a, b in zip(leaves(plain), leaves(flat), strict=True))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["inner.optimiser=adam", "meta.gradient=maml"], "inner.optimiser=adam cannot be differentiated through"),
        (["inner.optimiser=adam", "meta.gradient=reptile", "inner.engine=higher"], "takes plain steps only"),
        (
            ["inner.optimiser=carried_adam", "inner.first_order=true"],
            "by meta.gradient=reptile alone, got meta.gradient",
        ),
        (["inner.arch_steps=-1"], "inner.arch_steps must be null or 0 or more, got -1"),
        (["adapt.arch_steps=9"], "adapt.arch_steps must be in 0..5, got 9"),
        (["adapt.threshold=2"], "adapt.threshold must be in 0.0..1.0, got 2"),
    ],
)
def test_what_cannot_be_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_experiment(None, overrides)
