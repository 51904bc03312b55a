"""Scoring and intervals."""

import math

import pytest
import torch

from metanas.evaluate.accuracy import accuracies, committee_accuracies, nearest_neighbour, predictions
from metanas.evaluate.interval import interval
from metanas.objective import Classification
from metanas.params import MetaParams
from metanas.spaces.fewshot import FewShot
from metanas.spaces.initial import initial_weights
from tasks.episode import Batch, Episode, TaskSpec
from tasks.stream import stream

SPEC = TaskSpec(3, 1, 2, (1, 16, 16))


@pytest.fixture
def network() -> tuple[Classification, MetaParams]:
    child = FewShot(width=4, nodes=1).child((0, 3, 0, 0, 2, 5), SPEC)
    weights = {k: w.double() for k, w in initial_weights(child, stream(0, "weights")).items()}
    weights["head.weight"] = torch.randn(weights["head.weight"].shape, generator=stream(0, "head")).double()
    return Classification(child), MetaParams(weights, {})


def images(n: int, name: str) -> torch.Tensor:
    return torch.rand(n, *SPEC.image, generator=stream(0, name), dtype=torch.float64)


def test_inductive_prediction_does_not_depend_on_the_other_queries(network: tuple[Classification, MetaParams]) -> None:
    support, query = images(3, "support"), images(6, "query")
    other = torch.cat([query[:1], images(5, "other")])
    for transductive in (False, True):
        first, second = (predictions(*network, support, q, transductive=transductive)[0] for q in (query, other))
        assert torch.allclose(first, second, rtol=1e-10) is not transductive


def test_query_order_changes_nothing(network: tuple[Classification, MetaParams]) -> None:
    support, query = images(3, "support"), images(6, "query")
    order = torch.randperm(6, generator=stream(0, "order"))
    for transductive in (False, True):
        a = predictions(*network, support, query, transductive=transductive)[order]
        b = predictions(*network, support, query[order], transductive=transductive)
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


def test_accuracy_is_the_share_of_right_labels(network: tuple[Classification, MetaParams]) -> None:
    support, query = images(3, "support")[None], images(6, "query")[None]
    weights = {k: w[None] for k, w in network[1].weights.items()}
    params = MetaParams(weights, {})
    logits = predictions(network[0], params, support, query, transductive=True)
    labels = logits.argmax(-1)
    labels[0, :2] = (labels[0, :2] + 1) % 3  # two of six are wrong
    episodes = Episode(Batch(support, torch.arange(3)[None]), Batch(query, labels))
    assert accuracies(network[0], params, episodes, transductive=True) == [pytest.approx(4 / 6)]


def test_a_committee_takes_the_class_of_the_mean_probability(network: tuple[Classification, MetaParams]) -> None:
    """Two of three members are for one class, and the third, by far the surest, for another."""
    support, query = images(3, "support")[None], images(6, "query")[None]
    start = {k: w[None] for k, w in network[1].weights.items()}
    sure, unsure = (
        (network[0], MetaParams(start | {"head.weight": factor * start["head.weight"]}, {})) for factor in (50.0, -0.1)
    )
    said = predictions(*sure, support, query, transductive=True)
    episodes = Episode(Batch(support, torch.arange(3)[None]), Batch(query, said.argmax(-1)))
    assert accuracies(*unsure, episodes, transductive=True) < [1 / 2]
    assert committee_accuracies([sure, unsure, unsure], episodes, transductive=True) == [1.0]
    assert committee_accuracies([unsure], episodes, transductive=True) == accuracies(
        *unsure, episodes, transductive=True
    )


def test_nearest_neighbour_copies_the_label_of_the_closest_image() -> None:
    support = torch.tensor([[0.0, 1.0]]).view(1, 2, 1, 1, 1)
    query = torch.tensor([[0.1, 0.8, 0.4]]).view(1, 3, 1, 1, 1)
    episodes = Episode(Batch(support, torch.tensor([[1, 0]])), Batch(query, torch.tensor([[1, 0, 0]])))
    assert nearest_neighbour(episodes) == [pytest.approx(2 / 3)]


def test_interval_equals_a_hand_computed_one_in_double_precision() -> None:
    found = interval([0.2, 0.4, 0.6, 0.8])
    assert found.mean == pytest.approx(0.5)
    assert found.ci95 == pytest.approx(1.96 * math.sqrt((0.09 + 0.01 + 0.01 + 0.09) / 3 / 4))


def test_interval_of_one_value_is_unknown_and_of_none_an_error() -> None:
    assert interval([0.3]) == (0.3, math.inf)
    with pytest.raises(ValueError, match="at least one"):
        interval([])
