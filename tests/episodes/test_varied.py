import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import DataError, ImageBank, TaskSpec, VariedSampler, check_episode
from tasks.episode import n_way_of

IMAGE = (1, 2, 2)


def bank(counts: list[int]) -> ImageBank:
    """Images that tell their class in the first pixel and their number within it in the second."""
    images = {}
    for i, count in enumerate(counts):
        pixels = torch.zeros(count, *IMAGE, dtype=torch.uint8)
        pixels[:, 0, 0, 0] = i
        pixels[:, 0, 0, 1] = torch.arange(count, dtype=torch.uint8)
        images[f"c{i}"] = pixels
    return ImageBank.from_classes("made", images)


def spec(n_way: int = 6, k_shot: int = 5, n_query: int = 4) -> TaskSpec:
    return TaskSpec(n_way, k_shot, n_query, IMAGE, varied=True)


@settings(max_examples=60, deadline=None, database=None)
@given(
    st.lists(st.integers(2, 30), min_size=3, max_size=9),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(6, 60),
    st.integers(0, 2**40),
)
def test_an_episode_keeps_its_bounds(counts: list[int], k_shot: int, n_query: int, most: int, index: int) -> None:
    sampler = VariedSampler(bank(counts), spec(6, k_shot, n_query), 3, least_way=3, most_support=most)
    episode = sampler[index]
    check_episode(episode, sampler.spec)
    assert 3 <= n_way_of(episode) <= min(6, len(counts))
    assert len(episode.support.y) <= most
    queries = torch.bincount(episode.query.y)
    assert len(set(queries.tolist())) == 1  # the query set is balanced
    ids = torch.cat([episode.support.x, episode.query.x])[:, 0, 0, :2].mul(255).round().int()
    assert len(torch.unique(ids, dim=0)) == len(ids)  # no image twice
    labels = torch.cat([episode.support.y, episode.query.y])
    pairs = torch.stack([ids[:, 0], labels.int()], 1)
    assert len(torch.unique(pairs, dim=0)) == n_way_of(episode)


def test_ways_are_uniform_and_shots_unequal() -> None:
    sampler = VariedSampler(bank([12] * 9), spec(k_shot=8), 0, least_way=3)
    episodes = [sampler[i] for i in range(400)]
    ways = torch.tensor([n_way_of(episode) for episode in episodes])
    assert torch.bincount(ways, minlength=7)[3:].min() > 70  # 100 expected of each of 3, 4, 5, 6
    assert sum(len(set(torch.bincount(e.support.y).tolist())) > 1 for e in episodes) > 300


def test_a_class_with_more_images_has_more_shots() -> None:
    sampler = VariedSampler(bank([4] * 4 + [60] * 4), spec(8, 50), 0, least_way=8)
    few = many = 0
    for i in range(50):
        episode = sampler[i]
        names = episode.support.x[:, 0, 0, 0].mul(255).round()
        few += int((names < 4).sum())
        many += int((names >= 4).sum())
    assert many > 5 * few


def test_what_cannot_be_sampled_is_refused() -> None:
    with pytest.raises(DataError, match="at least 5 ways need as many classes, the split has 3; lower least_way"):
        VariedSampler(bank([4, 4, 4]), spec(), 0)
    with pytest.raises(DataError, match="class 'c1' has 1 image, an episode needs one to learn from and one to be"):
        VariedSampler(bank([4, 1, 4]), spec(), 0, least_way=2)
    with pytest.raises(DataError, match="got least_way=7, n_way=6, most_support=500"):
        VariedSampler(bank([4] * 9), spec(), 0, least_way=7)
    with pytest.raises(IndexError, match="numbered from 0, got -1"):
        VariedSampler(bank([4] * 9), spec(), 0)[-1]
