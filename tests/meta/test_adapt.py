"""The inner loop: plain gradient descent on weights and logits together, and nothing else."""

from dataclasses import replace

import pytest
import torch

from metanas.errors import ConfigError
from metanas.meta.adapt import Inner, adapt
from metanas.objective import Classification
from metanas.params import MetaParams, detach, is_head, leaves, spread
from metanas.relax.softmax import Softmax
from metanas.relax.straight_through import StraightThrough
from tasks.episode import Batch

from .conftest import Small


def quadratic(params: MetaParams, batch: Batch) -> torch.Tensor:
    """w^2 / 2 + 3 a^2 / 2, summed."""
    return (params.weights["w"] ** 2).sum() / 2 + 1.5 * (params.arch["a"] ** 2).sum() + 0 * batch.x.sum()


BATCH = Batch(torch.zeros(1), torch.zeros(1, dtype=torch.long))


def two_numbers() -> MetaParams:
    one = torch.ones((), dtype=torch.float64)
    return MetaParams({"w": one.clone().requires_grad_()}, {"a": one.clone().requires_grad_()})


@pytest.mark.parametrize("first_order", [True, False])
def test_each_group_follows_its_own_rate(first_order: bool) -> None:
    end = adapt(quadratic, two_numbers(), BATCH, Inner(4, 0.1, 0.2, first_order))
    assert end.weights["w"].item() == pytest.approx((1 - 0.1) ** 4)
    assert end.arch["a"].item() == pytest.approx((1 - 0.2 * 3) ** 4)


def test_end_depends_on_the_start_exactly_or_by_the_identity() -> None:
    for first_order, expected in ((False, 0.9**4), (True, 1.0)):
        start = two_numbers()
        end = adapt(quadratic, start, BATCH, Inner(4, 0.1, 0.2, first_order))
        (slope,) = torch.autograd.grad(end.weights["w"], start.weights["w"])
        assert slope.item() == pytest.approx(expected)


def test_no_steps_return_the_start() -> None:
    start = two_numbers()
    assert adapt(quadratic, start, BATCH, Inner(0)) is start


@pytest.mark.parametrize("frozen", ["weights", "arch"])
def test_a_rate_of_zero_moves_the_other_group_alone(small: Small, frozen: str) -> None:
    inner = Inner(2, 0.0 if frozen == "weights" else 0.1, 0.0 if frozen == "arch" else 1.0)
    start = detach(spread(small.start, 3), requires_grad=True)
    end = adapt(Classification(small.net, Softmax()), start, small.episodes.support, inner)
    for group in ("weights", "arch"):
        pairs = zip(getattr(start, group).values(), getattr(end, group).values(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs) is (group == frozen)


@pytest.mark.parametrize("moves", ["all", "head", "body"])
def test_the_steps_move_what_they_are_asked_to_and_nothing_else(small: Small, moves: str) -> None:
    start = detach(spread(small.start, 3), requires_grad=True)
    inner = Inner(2, 0.1, 0.0, moves=moves)  # type: ignore[arg-type]
    end = adapt(Classification(small.net, Softmax()), start, small.episodes.support, inner)
    moved = {is_head(name) for name, w in end.weights.items() if not torch.equal(w, start.weights[name])}
    assert moved == {"all": {True, False}, "head": {True}, "body": {False}}[moves]


def test_the_classifier_alone_moves_as_if_the_rest_had_no_rate(small: Small) -> None:
    """ANIL by its definition: the network up to the classifier is a fixed function of the images."""
    loss, start = Classification(small.net, Softmax()), detach(spread(small.start, 3), requires_grad=True)
    end = adapt(loss, start, small.episodes.support, Inner(3, 0.1, 0.0, moves="head"))
    heads = {name: w for name, w in start.weights.items() if is_head(name)}
    for _ in range(3):
        value = loss(MetaParams(start.weights | heads, start.arch), small.episodes.support).sum()
        slopes = torch.autograd.grad(value, list(heads.values()))
        heads = {name: w - 0.1 * g for (name, w), g in zip(heads.items(), slopes, strict=True)}
    for name, weight in heads.items():
        torch.testing.assert_close(end.weights[name], weight, rtol=1e-12, atol=0)


def test_the_start_is_not_changed(small: Small) -> None:
    before = [t.clone() for t in leaves(small.start)]
    start = detach(spread(small.start, 3), requires_grad=True)
    adapt(Classification(small.net, Softmax()), start, small.episodes.support, Inner(2))
    assert all(torch.equal(a, b) for a, b in zip(leaves(small.start), before, strict=True))


def test_straight_through_moves_the_weights_of_taken_operations_alone(small: Small) -> None:
    objective = Classification(small.net, StraightThrough(small.space.harden), 0.0)
    start = detach(spread(small.start, 3), requires_grad=True)
    end = adapt(objective, start, small.episodes.support, Inner(1, 0.1, 0.0))
    child = small.space.child(small.space.decode(small.start.arch), _spec())
    taken = {name for name, _ in child.named_parameters()}
    moved = {k for k, w in end.weights.items() if not torch.equal(w, start.weights[k])}
    assert moved <= taken
    assert {k for k in taken if k.startswith("head")} <= moved


def test_adapting_to_one_task_does_not_depend_on_the_tasks_beside_it(small: Small) -> None:
    objective = Classification(small.net, Softmax())
    start = detach(spread(small.start, 3), requires_grad=True)
    together = adapt(objective, start, small.episodes.support, Inner(3, 0.1, 3.0))
    support = Batch(small.episodes.support.x[1:2], small.episodes.support.y[1:2])
    alone = adapt(objective, detach(spread(small.start, 1), requires_grad=True), support, Inner(3, 0.1, 3.0))
    for a, b in zip(leaves(together), leaves(alone), strict=True):
        torch.testing.assert_close(a[1], b[0], rtol=1e-9, atol=1e-12)


def test_two_tasks_get_different_logits(small: Small) -> None:
    start = detach(spread(small.start, 3), requires_grad=True)
    end = adapt(Classification(small.net, Softmax()), start, small.episodes.support, Inner(3, 0.1, 30.0))
    assert (end.arch["normal"][0] - end.arch["normal"][1]).abs().max() > 1e-3


def test_negative_settings_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"inner.lr_arch must be 0 or more, got -1"):
        Inner(lr_arch=-1)
    with pytest.raises(ConfigError, match=r"inner.lr_weights must be 0 or more, got inf"):
        Inner(lr_weights=float("inf"))


def _spec() -> object:
    from tasks.episode import TaskSpec

    return TaskSpec(3, 1, 2, (1, 16, 16))


@pytest.mark.parametrize("inner", [Inner(2, 0.1, 0.0), Inner(2, 0.0, 1.0), Inner(2, 0.1, 0.0, moves="head")], ids=str)
def test_at_first_order_what_rests_is_a_constant_and_what_moves_moves_alike(small: Small, inner: Inner) -> None:
    start, loss = detach(spread(small.start, 3), requires_grad=True), Classification(small.net, Softmax())
    exact, first = (
        adapt(loss, start, small.episodes.support, replace(inner, first_order=first)) for first in (False, True)
    )
    for a, b in zip(leaves(first), leaves(exact), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_a_loss_without_anything_that_moves_leaves_the_start_as_it_is(small: Small) -> None:
    start = detach(spread(small.start, 3), requires_grad=True)
    loss = Classification(small.net, Softmax(), rest_arch=True)
    end = adapt(loss, start, small.episodes.support, Inner(1, lr_weights=0.0, lr_arch=1.0, first_order=True))
    assert all(torch.equal(a, b) for a, b in zip(leaves(end), leaves(start), strict=True))
