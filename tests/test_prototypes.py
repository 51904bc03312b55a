"""Classes as points among features."""

import pytest
import torch
from torch import Tensor

from metanas.prototypes import class_means, directions, refined
from tasks.stream import stream

pytestmark = pytest.mark.usefixtures("float64")


def clouds(n: int, name: str, spread: float = 1.0) -> tuple[Tensor, Tensor]:
    """For two tasks, `n` points of each of three classes around the unit vectors, and their labels, shuffled."""
    rng = stream(0, name)
    y = torch.arange(3).repeat_interleave(n)[torch.randperm(3 * n, generator=rng)].expand(2, -1)
    noise = torch.randn(2, 3 * n, 4, generator=rng)
    return torch.eye(4)[y] + spread * noise, y


def test_means_and_directions_are_those_of_a_loop_over_classes() -> None:
    features, y = clouds(3, "support")
    means, found = class_means(features, y, 3), directions(features, y, 3)
    for task in range(2):
        for c in range(3):
            mine = features[task][y[task] == c]
            torch.testing.assert_close(means[task, c], mine.mean(0))
            angle = (mine / mine.norm(dim=1, keepdim=True)).mean(0)
            torch.testing.assert_close(found[task, c], angle / angle.norm())


def test_lengths_and_the_order_of_images_change_no_direction() -> None:
    support, y = clouds(2, "support")
    query, _ = clouds(5, "query")
    found = refined(support, y, query, 3)
    order = torch.randperm(15, generator=stream(0, "order"))
    stretched = query * torch.rand(2, 15, 1, generator=stream(0, "lengths")).add(0.5)
    torch.testing.assert_close(refined(3 * support, y, stretched[:, order], 3), found)
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(2, 3))


def test_no_query_image_leaves_the_directions_as_they_are() -> None:
    support, y = clouds(2, "support")
    torch.testing.assert_close(refined(support, y, torch.empty(2, 0, 4), 3), directions(support, y, 3))


def test_tasks_do_not_see_each_other() -> None:
    (support, y), (query, _) = clouds(2, "support"), clouds(5, "query")
    together = refined(support, y, query, 3)
    for task in range(2):
        torch.testing.assert_close(refined(support[task], y[task], query[task], 3), together[task])


def test_unlabelled_images_correct_a_support_image_that_lies_off_its_class() -> None:
    query, y = clouds(20, "query", spread=0.15)
    support = torch.eye(4)[:3].expand(2, -1, -1) + 0.55 * torch.eye(4)[[1, 2, 0]]
    labels = torch.arange(3).expand(2, -1)

    def accuracy(found: Tensor) -> float:
        return ((query @ found.mT).argmax(-1) == y).double().mean().item()

    off, corrected = directions(support, labels, 3), refined(support, labels, query, 3)
    distance = [(found - torch.eye(4)[:3]).norm(dim=-1).max().item() for found in (off, corrected)]
    assert distance[1] < 0.3 * distance[0]
    assert accuracy(corrected) == 1.0 >= accuracy(off)
