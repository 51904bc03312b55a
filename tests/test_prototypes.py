"""Classes as points among features."""

import pytest
import torch
from torch import Tensor

from metanas.prototypes import SHRINKAGE, balanced_shares, class_means, directions, refined, whitened
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


@pytest.mark.parametrize("balanced", [False, True])
def test_lengths_and_the_order_of_images_change_no_direction(balanced: bool) -> None:
    support, y = clouds(2, "support")
    query, _ = clouds(5, "query")
    found = refined(support, y, query, 3, balanced=balanced)
    order = torch.randperm(15, generator=stream(0, "order"))
    stretched = query * torch.rand(2, 15, 1, generator=stream(0, "lengths")).add(0.5)
    again = refined(3 * support, y, stretched[:, order], 3, balanced=balanced)
    torch.testing.assert_close(again.directions, found.directions)
    torch.testing.assert_close(again.shares, found.shares[:, order])
    torch.testing.assert_close(found.directions.norm(dim=-1), torch.ones(2, 3))
    torch.testing.assert_close(found.shares.sum(-1), torch.ones(2, 15))


def test_no_query_image_leaves_the_directions_as_they_are() -> None:
    support, y = clouds(2, "support")
    torch.testing.assert_close(refined(support, y, torch.empty(2, 0, 4), 3).directions, directions(support, y, 3))


@pytest.mark.parametrize("balanced", [False, True])
def test_tasks_do_not_see_each_other(balanced: bool) -> None:
    (support, y), (query, _) = clouds(2, "support"), clouds(5, "query")
    together = refined(support, y, query, 3, balanced=balanced)
    for task in range(2):
        alone = refined(support[task], y[task], query[task], 3, balanced=balanced)
        torch.testing.assert_close(alone.directions, together.directions[task])
        torch.testing.assert_close(alone.shares, together.shares[task])


def test_balanced_shares_give_every_class_as_much_and_move_no_further_than_that_takes() -> None:
    """The scores change by a number for every image and one for every class, which is what makes the shares the
    nearest ones (Cuturi 2013, lemma 2)."""
    scores = torch.randn(2, 15, 3, generator=stream(0, "scores")) + torch.tensor([1.0, 0.0, -1.0])
    shares = balanced_shares(scores)
    torch.testing.assert_close(shares.sum(-1), torch.ones(2, 15))
    torch.testing.assert_close(shares.sum(-2), torch.full((2, 3), 5.0), rtol=1e-3, atol=0)
    change = shares.log() - scores
    by_class = change - change.mean(-1, keepdim=True)
    torch.testing.assert_close(by_class, by_class[:, :1].expand_as(by_class))


def test_knowing_that_classes_are_balanced_helps_where_they_are() -> None:
    rng = stream(0, "balanced")
    y = torch.arange(3).repeat_interleave(15).expand(100, -1)
    query = torch.eye(4)[y] + 0.45 * torch.randn(100, 45, 4, generator=rng)
    support = torch.eye(4)[:3] + 0.45 * torch.randn(100, 3, 4, generator=rng)
    labels = torch.arange(3).expand(100, -1)
    unknown, known = (
        (refined(support, labels, query, 3, balanced=known).shares.argmax(-1) == y).double().mean().item()
        for known in (False, True)
    )
    assert known > unknown


def test_unlabelled_images_correct_a_support_image_that_lies_off_its_class() -> None:
    query, y = clouds(20, "query", spread=0.15)
    support = torch.eye(4)[:3].expand(2, -1, -1) + 0.55 * torch.eye(4)[[1, 2, 0]]
    labels = torch.arange(3).expand(2, -1)

    def accuracy(found: Tensor) -> float:
        return ((query @ found.mT).argmax(-1) == y).double().mean().item()

    off, corrected = directions(support, labels, 3), refined(support, labels, query, 3).directions
    distance = [(found - torch.eye(4)[:3]).norm(dim=-1).max().item() for found in (off, corrected)]
    assert distance[1] < 0.3 * distance[0]
    assert accuracy(corrected) == 1.0 >= accuracy(off)


class TestWhitened:
    """Features of which two dimensions vary together, and one hardly at all."""

    @pytest.fixture
    def background(self) -> Tensor:
        mixing = torch.tensor([[3.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 0.1]], dtype=torch.float64)
        noise = torch.randn(2, 400, 3, generator=stream(0, "background"), dtype=torch.float64)
        return noise @ mixing + torch.tensor([5.0, -2.0, 1.0], dtype=torch.float64)

    def test_equals_its_formula(self, background: Tensor) -> None:
        found = whitened(background)
        for i, features in enumerate(background):
            covariance = torch.cov(features.T)
            even = torch.eye(3, dtype=torch.float64) * covariance.diagonal().mean()
            shrunk = ((1 - SHRINKAGE) * covariance + SHRINKAGE * even) / covariance.diagonal().mean()
            assert found.scaling is not None
            torch.testing.assert_close(found.scaling[i] @ shrunk @ found.scaling[i], torch.eye(3, dtype=torch.float64))
            torch.testing.assert_close(found.scaling[i], found.scaling[i].T)
            torch.testing.assert_close(found.origin[i, 0], features.mean(0))

    def test_variances_come_nearer_to_each_other(self, background: Tensor) -> None:
        moved = whitened(background).of(background)
        spreads = [torch.linalg.eigvalsh(torch.cov(features[0].T)) for features in (background, moved)]
        before, after = (values[-1] / values[0] for values in spreads)
        assert after < before / 3
        torch.testing.assert_close(moved.mean(-2), torch.zeros(2, 3, dtype=torch.float64), rtol=0, atol=1e-12)

    def test_fewer_images_than_dimensions_do(self) -> None:
        few = torch.randn(2, 5, generator=stream(0, "few"), dtype=torch.float64)
        scaling = whitened(few).scaling
        assert scaling is not None
        assert torch.linalg.eigvalsh(scaling).min() > 0
