"""Episodes from several data sets."""

import pytest
import torch

from tasks import DataError, EpisodeSampler, ImageBank, Mixture, TaskSpec


def sampler(name: str, ink: int, side: int = 8) -> EpisodeSampler:
    bank = ImageBank.from_classes(
        name, {f"{name}{i}": torch.full((4, 1, side, side), ink, dtype=torch.uint8) for i in range(5)}
    )
    return EpisodeSampler(bank, TaskSpec(2, 1, 1, (1, side, side)), 0)


def test_each_episode_is_that_of_one_member_and_all_members_occur() -> None:
    members = [sampler("dark", 0), sampler("bright", 255)]
    mixture = Mixture(members, seed=3)
    seen = [mixture.member_of(i) for i in range(200)]
    assert 60 < sum(seen) < 140
    for i in range(20):
        assert torch.equal(mixture[i].support.x, members[seen[i]][i].support.x)


def test_is_a_function_of_seed_and_index() -> None:
    members = [sampler("dark", 0), sampler("bright", 255)]
    first, second = Mixture(members, 1), Mixture(members, 1)
    assert [first.member_of(i) for i in range(50)] == [second.member_of(i) for i in range(50)]
    assert [first.member_of(i) for i in range(50)] != [Mixture(members, 2).member_of(i) for i in range(50)]


def test_members_of_different_shapes_are_refused() -> None:
    with pytest.raises(DataError, match="one shape"):
        Mixture([sampler("a", 0), sampler("b", 0, side=9)], 0)
    with pytest.raises(DataError, match="got none"):
        Mixture([], 0)
