"""Metric learners against finite differences, a distance by hand, and the symmetry of classes, in float64."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from metanas.meta.batch import merge
from metanas.meta.gradient import MetaGradient
from metanas.meta.metric import Metric
from metanas.objective import Classification, Objective, relation_error
from metanas.params import MetaParams, leaves, like, spread
from metanas.relax.softmax import Softmax
from metanas.spaces.backbone import Backbone
from metanas.spaces.conv4 import Conv4
from metanas.spaces.cosine import CosineHead
from metanas.spaces.fewshot import FewShot
from metanas.spaces.head import Head, LinearHead
from metanas.spaces.initial import initial_weights
from metanas.spaces.relation import RelationHead
from metanas.spaces.resnet import NARROW_MAPS, ResNet
from metanas.spaces.space import SearchSpace
from tasks.episode import Batch, Episode, TaskSpec, stack
from tasks.stream import stream

from .conftest import chunks

SPEC = TaskSpec(3, 2, 2, (1, 16, 16))
LEARNERS: dict[str, tuple[SearchSpace, Callable[[nn.Module], Classification]]] = {
    "prototypes": (Backbone(lambda spec: Conv4(spec, 4)), Classification),
    "relation": (
        Backbone(lambda spec: Conv4(spec, 4, "relation")),
        lambda net: Classification(net, criterion=relation_error),
    ),
    "cosines": (Backbone(lambda spec: ResNet(spec, 4, NARROW_MAPS, "cosine")), Classification),
    "prototypes of searched cells": (FewShot(width=4, nodes=2), lambda net: Classification(net, Softmax())),
}


class Learner(NamedTuple):
    loss: Classification
    start: MetaParams
    episodes: Episode
    """Three tasks of two images a class."""


@pytest.fixture(params=LEARNERS.values(), ids=LEARNERS)
def learner(request: pytest.FixtureRequest) -> Learner:
    space, objective = request.param
    net = space.supernet(SPEC)
    weights = {k: w.double() for k, w in initial_weights(net, stream(0, "weights")).items()}
    arch = {k: torch.randn(a.shape, generator=stream(0, k), dtype=torch.float64) for k, a in space.logits().items()}

    def batch(name: str) -> Batch:
        x = torch.rand(6, *SPEC.image, generator=stream(0, name), dtype=torch.float64)
        return Batch(x, torch.arange(3).repeat_interleave(2))

    episodes = stack([Episode(batch(f"support {i}"), batch(f"query {i}")) for i in range(3)])
    return Learner(objective(net), MetaParams(weights, arch), episodes)


def test_is_a_meta_gradient_of_an_objective(learner: Learner) -> None:
    assert isinstance(Metric(), MetaGradient)
    assert isinstance(learner.loss, Objective)


@pytest.mark.parametrize("head", [LinearHead(4, 3), CosineHead(4, 3), RelationHead((4, 4, 4), 3)])
def test_heads_are_heads(head: Head) -> None:
    assert isinstance(head, Head)


def test_gradient_agrees_with_finite_differences(learner: Learner) -> None:
    loss, start, episodes = learner
    verdict = Metric()(loss, start, episodes)
    rng = torch.Generator().manual_seed(3)
    for _ in range(4):
        along = [torch.randn(t.shape, generator=rng, dtype=torch.float64) for t in leaves(start)]
        step = 1e-7
        ends = [
            Metric()(
                loss, like(start, [t + s * step * a for t, a in zip(leaves(start), along, strict=True)]), episodes
            ).query_loss.sum()
            for s in (1, -1)
        ]
        found = sum((g * a).sum().item() for g, a in zip(leaves(verdict.gradient), along, strict=True))
        assert found == pytest.approx((ends[0] - ends[1]).item() / (2 * step), rel=1e-5)


def test_weights_of_features_move_and_the_classifier_that_is_given_does_not(learner: Learner) -> None:
    gradient = Metric()(*learner).gradient
    given = {"head.weight", "head.bias", "head.classes"}
    moved = {name for name, g in gradient.weights.items() if g.any()}
    assert not moved & given
    assert all(g.any() for g in gradient.arch.values())
    assert {name for name in gradient.weights if name.startswith(("blocks.0", "stem", "head.block"))} <= moved


def test_the_order_of_the_classes_changes_nothing(learner: Learner) -> None:
    loss, start, episodes = learner
    order = torch.tensor([2, 0, 1])
    renamed = Episode(*(Batch(batch.x, order[batch.y]) for batch in episodes))
    before, after = Metric()(loss, start, episodes), Metric()(loss, start, renamed)
    torch.testing.assert_close(after.query_loss, before.query_loss, rtol=1e-10, atol=1e-12)
    for a, b in zip(leaves(after.gradient), leaves(before.gradient), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)
    each = spread(start, 3)
    logits = loss.logits(loss.with_class_means(each, episodes.support), episodes.query.x)
    permuted = loss.logits(loss.with_class_means(each, renamed.support), episodes.query.x)
    torch.testing.assert_close(permuted[..., order], logits, rtol=1e-9, atol=1e-11)


def test_the_order_of_the_support_images_changes_nothing(learner: Learner) -> None:
    loss, start, episodes = learner
    shuffled = Batch(episodes.support.x.flip(1), episodes.support.y.flip(1))
    before = Metric()(loss, start, episodes).query_loss
    after = Metric()(loss, start, Episode(shuffled, episodes.query)).query_loss
    torch.testing.assert_close(after, before, rtol=1e-10, atol=1e-12)


def test_folded_tasks_equal_one_task_after_another(learner: Learner) -> None:
    loss, start, episodes = learner
    together = Metric()(loss, start, episodes)
    apart = merge([Metric()(loss, start, part) for part in chunks(episodes, 1)])
    torch.testing.assert_close(apart.query_loss, together.query_loss, rtol=1e-9, atol=1e-12)
    for a, b in zip(leaves(apart.gradient), leaves(together.gradient), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)


BY_DISTANCE = ["prototypes", "prototypes of searched cells"]


@pytest.mark.parametrize("learner", [LEARNERS[name] for name in BY_DISTANCE], indirect=True, ids=BY_DISTANCE)
def test_prototypes_are_a_softmax_over_squared_distances(learner: Learner) -> None:
    """Snell et al., equations 1 and 2, written out for every image and class."""
    loss, start, episodes = learner
    found = Metric()(loss, start, episodes).query_loss
    for task in range(3):
        support = loss.features(start, episodes.support.x[task])
        query = loss.features(start, episodes.query.x[task])
        means = torch.stack([support[episodes.support.y[task] == k].mean(0) for k in range(3)])
        total = 0.0
        for f, y in zip(query, episodes.query.y[task], strict=True):
            distances = torch.stack([(f - c).square().sum() for c in means])
            total += (distances[y] + torch.logsumexp(-distances, 0)).item()
        assert found[task].item() == pytest.approx(total / len(query), rel=1e-9)


@pytest.mark.parametrize("learner", [LEARNERS["cosines"]], indirect=True)
def test_cosines_are_a_softmax_over_angles_times_a_learned_scale(learner: Learner) -> None:
    """Chen et al. 2020, equations 1 and 2, written out for every image and class, at another scale than the first."""
    loss, start, episodes = learner
    start = start._replace(weights=start.weights | {"head.scale": torch.tensor([1.7], dtype=torch.float64)})
    found = Metric()(loss, start, episodes)
    assert found.gradient.weights["head.scale"].item() != 0
    for task in range(3):
        support = loss.features(start, episodes.support.x[task])
        query = loss.features(start, episodes.query.x[task])
        assert support.shape[-1] == 14 * 2 * 2  # every place of the last maps counts
        means = torch.stack([support[episodes.support.y[task] == k].mean(0) for k in range(3)])
        total = 0.0
        for f, y in zip(query, episodes.query.y[task], strict=True):
            cosines = torch.stack([f @ c / (f.norm() * c.norm()) for c in means])
            total += (torch.logsumexp(17 * cosines, 0) - 17 * cosines[y]).item()
        assert found.query_loss[task].item() == pytest.approx(total / len(query), rel=1e-9)


class Plane(nn.Module):
    """Images of 1x1 pixels and two channels are their own features."""

    def __init__(self) -> None:
        super().__init__()
        self.head = LinearHead(2, 2)

    def forward(self, x: Tensor, gates: None = None, *, rows: int | None = None, headless: bool = False) -> Tensor:
        return self.head(x, rows, headless=headless)


def test_prototypes_by_hand() -> None:
    """Class 0 at (0, 0) and (2, 0), class 1 at (1, 4): means (1, 0) and (1, 4); the query (1, 1) is 1 and 9 away."""
    with torch.device("meta"):
        net = Plane()
    points = torch.tensor([[0.0, 0.0], [2.0, 0.0], [1.0, 4.0]], dtype=torch.float64)
    support = Batch(points[..., None, None], torch.tensor([0, 0, 1]))
    params = Classification(net).with_class_means(
        MetaParams({"head.weight": points.new_zeros(2, 2), "head.bias": points.new_zeros(2)}, {}), support
    )
    assert params.weights["head.weight"].tolist() == [[2, 0], [2, 8]]
    assert params.weights["head.bias"].tolist() == [-1, -17]
    query = Batch(points.new_ones(1, 2, 1, 1), torch.tensor([0]))
    expected = -torch.log_softmax(torch.tensor([-1.0, -9.0], dtype=torch.float64), 0)[0]
    torch.testing.assert_close(Classification(net)(params, query), expected)


def test_relation_error_by_hand() -> None:
    logits = torch.tensor([[[0.0, 0.0], [100.0, -100.0]]])
    assert relation_error(logits, torch.tensor([[0, 0]])).tolist() == pytest.approx([(0.25 + 0.25 + 0 + 0) / 2])
    assert relation_error(logits, torch.tensor([[0, 1]])).tolist() == pytest.approx([(0.25 + 0.25 + 1 + 1) / 2])


def test_a_score_belongs_to_its_class() -> None:
    """Exchanging two classes exchanges their scores and leaves the third."""
    head = RelationHead((2, 4, 4), 3)
    rng = torch.Generator().manual_seed(0)
    weights = {name: torch.randn(p.shape, generator=rng).double() for name, p in head.named_parameters()}
    maps = torch.randn(2, 2, 4, 4, generator=rng).double()
    call = torch.func.functional_call
    before = call(head, weights, (maps,))
    swapped = call(head, weights | {"classes": weights["classes"][[1, 0, 2]]}, (maps,))
    torch.testing.assert_close(swapped, before[:, [1, 0, 2]])
    assert before.shape == (2, 3)
    assert not torch.allclose(before[:, 0], before[:, 1])
