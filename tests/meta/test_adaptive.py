"""Adam without momentum, alternating passes and a temperature that falls inside a task, in float64."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from metanas.config_file import load_experiment
from metanas.errors import ConfigError
from metanas.meta.adapt import Inner, adapt
from metanas.objective import Classification, LossFn, Staged
from metanas.params import MetaParams, detach, leaves, like, spread
from metanas.relax.softmax import Softmax
from tasks.episode import Batch

from .conftest import Small


def adapted(small: Small, inner: Inner, loss: LossFn | None = None) -> MetaParams:
    loss = loss or Classification(small.net, Softmax())
    start = detach(spread(small.start, 3), requires_grad=True)
    return adapt(loss, start, small.episodes.support, replace(inner, first_order=True))


@pytest.mark.parametrize("alternate", [False, True])
def test_equals_adam_by_torch(small: Small, alternate: bool) -> None:
    """Logits first, then the weights at the new logits, where they alternate; each task by itself."""
    found = adapted(small, Inner(4, 0.01, 0.1, optimiser="adam", alternate=alternate))
    loss, n = Classification(small.net, Softmax()), len(small.start.weights)
    for task in range(3):
        values = [nn.Parameter(t[None].clone()) for t in leaves(small.start)]
        weights, arch = values[:n], values[n:]
        constants = {"betas": (0.0, 0.999), "eps": 1e-8}
        optimisers = [torch.optim.Adam(arch, lr=0.1, **constants), torch.optim.Adam(weights, lr=0.01, **constants)]
        images = Batch(*(t[task : task + 1] for t in small.episodes.support))
        for _ in range(4):
            for group in [optimisers[:1], optimisers[1:]] if alternate else [optimisers]:
                for parameter in values:
                    parameter.grad = None
                loss(like(small.start, values), images).sum().backward()
                for optimiser in group:
                    optimiser.step()
        for mine, theirs in zip(leaves(found), values, strict=True):
            torch.testing.assert_close(mine[task], theirs[0], rtol=1e-6, atol=1e-9)


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
        (["inner.arch_steps=-1"], "inner.arch_steps must be null or 0 or more, got -1"),
        (["adapt.arch_steps=9"], "adapt.arch_steps must be in 0..5, got 9"),
        (["adapt.threshold=2"], "adapt.threshold must be in 0.0..1.0, got 2"),
    ],
)
def test_what_cannot_be_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_experiment(None, overrides)
