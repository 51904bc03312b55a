"""Reptile against its definition, in float64."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from metanas.meta.adapt import Inner, adapt
from metanas.meta.batch import merge
from metanas.meta.gradient import MetaGradient
from metanas.meta.learner import Descent
from metanas.meta.minibatches import Minibatches
from metanas.meta.reptile import Reptile
from metanas.objective import Classification
from metanas.optim import Outer
from metanas.params import MetaParams, detach, leaves, like, spread
from metanas.relax.softmax import Softmax
from tasks.episode import Batch, Episode

from .conftest import Small, chunks


def test_is_a_meta_gradient() -> None:
    assert isinstance(Reptile(Inner()), MetaGradient)


@pytest.mark.parametrize("minibatches", [1, 2, 3])
def test_equals_plain_gradient_descent_by_torch(minibatches: int, small: Small) -> None:
    """Two parameter groups of torch's SGD on the images of a task: (before - after) / step size."""
    loss, inner = Classification(small.net, Softmax()), Inner(4, 0.1, 2.0)
    verdict = Reptile(inner, minibatches)(loss, small.start, small.episodes)
    total = [torch.zeros_like(t) for t in leaves(small.start)]
    n = len(small.start.weights)
    for episode in chunks(small.episodes, 1):
        values = [nn.Parameter(t[None].clone()) for t in leaves(small.start)]
        ours = like(small.start, values)
        optimiser = torch.optim.SGD([{"params": values[:n], "lr": 0.1}, {"params": values[n:], "lr": 2.0}])
        dealt = [image for c in range(3) for part in episode for image in part.x[0][part.y[0] == c]]
        labels = [c for c in range(3) for part in episode for _ in part.x[0][part.y[0] == c]]
        for m in range(4):
            seen = [i for i in range(9) if i % minibatches == m % minibatches]
            images = Batch(torch.stack([dealt[i] for i in seen])[None], torch.tensor([labels[i] for i in seen])[None])
            optimiser.zero_grad()
            loss(ours, images).sum().backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        for i, (before, after) in enumerate(zip(leaves(small.start), values, strict=True)):
            total[i] = total[i] + (before - after[0].detach()) / (0.1 if i < n else 2.0)
    for a, b in zip(leaves(verdict.gradient), total, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_minibatches_show_every_image_once_in_turn(count: int) -> None:
    """And the temperature of the step: what is wrapped stays staged."""
    seen: list[tuple[int, int, list[int], list[int]]] = []

    class Watching:
        def __init__(self, step: int = -1, steps: int = -1) -> None:
            self.at = (step, steps)

        def stage(self, step: int, steps: int) -> "Watching":
            return Watching(step, steps)

        def __call__(self, params: MetaParams, batch: Batch) -> torch.Tensor:
            seen.append((*self.at, batch.x[0].tolist(), batch.y[0].tolist()))
            return batch.x.sum(-1)

    y = torch.tensor([[2, 0, 1, 2, 1, 0, 0, 1, 2]])
    loss = Minibatches(Watching(), count)
    for step in range(2 * count):
        loss.stage(step, 7)(MetaParams({}, {}), Batch(torch.arange(9)[None], y))
    assert [(step, steps) for step, steps, _, _ in seen] == [(step, 7) for step in range(2 * count)]
    first, second = seen[:count], seen[count:]
    assert [images for _, _, images, _ in first] == [images for _, _, images, _ in second]
    assert sorted(image for _, _, images, _ in first for image in images) == list(range(9))
    for _, _, images, labels in first:
        assert labels == [int(y[0, image]) for image in images]
        assert max(labels.count(c) for c in range(3)) - min(labels.count(c) for c in range(3)) <= 1


def test_an_outer_step_of_one_task_goes_the_way_that_it_adapted(small: Small) -> None:
    """MetaNAS's outer rates, 1.0 and 0.6: weights land where the task ended, and logits go six tenths of the way."""
    loss, inner, episode = Classification(small.net, Softmax()), Inner(3, 0.1, 2.0), chunks(small.episodes, 1)[0]
    outer = Outer(
        lr_weights=1.0 * inner.lr_weights,
        lr_arch=0.6 * inner.lr_arch,
        beta1_weights=0.0,
        beta1_arch=0.0,
        decay_arch=0.0,
        clip=0.0,
        optimiser="sgd",
        optimiser_arch="sgd",
    )
    learner = Descent(Reptile(inner), outer)
    moved, _ = learner.step(learner.init(small.start), [learner.gradient(loss, small.start, episode)], 1.0)
    images = Batch(*(torch.cat(pair, dim=1) for pair in zip(*episode, strict=True)))
    end = adapt(loss, detach(spread(small.start, 1), requires_grad=True), images, replace(inner, first_order=True))
    ways = {"weights": 1.0, "arch": 0.6}
    for group, way in ways.items():
        for name, before in getattr(small.start, group).items():
            expected = before + way * (getattr(end, group)[name][0].detach() - before)
            torch.testing.assert_close(getattr(moved.params, group)[name], expected, rtol=1e-12, atol=1e-14)
        assert any(not torch.equal(t, getattr(small.start, group)[k]) for k, t in getattr(moved.params, group).items())


@pytest.mark.parametrize("minibatches", [1, 3])
def test_folded_tasks_equal_one_task_after_another(minibatches: int, small: Small) -> None:
    loss, reptile = Classification(small.net, Softmax()), Reptile(Inner(2, 0.1, 5.0), minibatches)
    together = reptile(loss, small.start, small.episodes)
    apart = merge([reptile(loss, small.start, part) for part in chunks(small.episodes, 1)])
    torch.testing.assert_close(apart.query_loss, together.query_loss, rtol=1e-9, atol=1e-12)
    for a, b in zip(leaves(apart.gradient), leaves(together.gradient), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("order", [True, False])
def test_closed_form_on_a_quadratic(order: bool) -> None:
    """L = mean over images of (w - x)^2 / 2: after M steps w is m + (1 - a)^M (w - m), m the mean of all images."""

    def loss(params: MetaParams, batch: Batch) -> torch.Tensor:
        return ((params.weights["w"] - batch.x) ** 2).mean(-1) / 2

    start = MetaParams({"w": torch.tensor([2.0], dtype=torch.float64)}, {})
    episodes = Episode(
        Batch(torch.tensor([[0.5]], dtype=torch.float64), torch.zeros(1, 1)),
        Batch(torch.tensor([[-1.0, -1.0, 0.0]], dtype=torch.float64), torch.zeros(1, 3)),
    )
    mean = (0.5 - 2) / 4
    verdict = Reptile(Inner(3, 0.2, 0.0, first_order=order))(loss, start, episodes)
    end = mean + 0.8**3 * (2 - mean)
    assert verdict.gradient.weights["w"].item() == pytest.approx((2 - end) / 0.2)
    assert verdict.query_loss.item() == pytest.approx((2 * (end + 1) ** 2 + end**2) / 6)


def test_what_has_no_rate_stays(small: Small) -> None:
    verdict = Reptile(Inner(1, 0.1, 0.0))(Classification(small.net, Softmax()), small.start, small.episodes)
    assert not any(g.any() for g in verdict.gradient.arch.values())
    assert any(g.any() for g in verdict.gradient.weights.values())
