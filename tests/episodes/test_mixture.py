"""Episodes from several data sets."""

import re
from collections.abc import Sequence

import pytest
import torch

from tasks import ClassSplit, DataError, Dataset, EpisodeSampler, ImageBank, Mixture, TaskSpec
from tasks.augment import rotations
from tasks.channels import with_channels
from tasks.mixture import check_mixable
from tasks.sources.cifar_fs import bertinetto_split
from tasks.sources.fc100 import oreshkin_split
from tasks.sources.glyphs import script_split
from tasks.sources.omniglot import vinyals_split


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


def test_weights_say_how_often_a_member_is_drawn() -> None:
    mixture = Mixture([sampler("dark", 0), sampler("bright", 255)], seed=3, weights=[1, 3])
    assert 120 < sum(mixture.member_of(i) for i in range(200)) < 180


@pytest.mark.parametrize("weights", [[1.0], [1.0, 0.0], [1.0, float("nan")], [1.0, float("inf")]])
def test_weights_that_do_not_fit_are_refused(weights: list[float]) -> None:
    with pytest.raises(DataError, match="a mixture of 2 needs as many weights above 0"):
        Mixture([sampler("a", 0), sampler("b", 0)], 0, weights)


def test_grey_images_join_coloured_ones_with_three_equal_channels() -> None:
    grey = dataset("grey", ["a", "b"])
    coloured = with_channels(grey, 3)
    assert coloured.bank.image == (3, 2, 2)
    assert all(torch.equal(coloured.bank.pixels[:, c], grey.bank.pixels[:, 0]) for c in range(3))
    assert with_channels(coloured, 3) is coloured
    with pytest.raises(DataError, match="images have 3 channels, asked for 1; ask for 3"):
        with_channels(coloured, 1)


def dataset(name: str, train: Sequence[str], validation: Sequence[str] = (), test: Sequence[str] = ()) -> Dataset:
    split = ClassSplit(tuple(train), tuple(validation), tuple(test))
    classes = [*train, *validation, *test]
    return Dataset(name, ImageBank.from_classes(name, dict.fromkeys(classes, torch.zeros(1, 1, 2, 2).byte())), split)


def of_split(name: str, split: ClassSplit) -> Dataset:
    return dataset(name, split.train, split.validation, split.test)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_what_one_data_set_holds_out_may_not_be_trained_on_in_another(split: str) -> None:
    learner, judge = dataset("first", ["c/bee", "c/ray"]), dataset("second", ["c/sea"], **{split: ["c/ray", "c/fox"]})
    for members in ([learner, judge], [judge, learner]):
        with pytest.raises(DataError) as caught:
            check_mixable(members)
        assert str(caught.value) == (
            f"the {split} classes of second must be unseen, but first trains on 1 of them: c/ray; "
            "keep the two in separate runs"
        )
        with pytest.raises(DataError, match="first-rotations trains on 4 of them: c/ray, c/ray/rot90, .*c/ray/rot270"):
            check_mixable([rotations(member) for member in members])


def test_two_data_sets_may_train_on_the_same_class() -> None:
    check_mixable([dataset("first", ["c/bee"], test=["c/fox"]), dataset("second", ["c/bee"], test=["c/fox"])])


def test_glyphs_and_omniglot_share_nothing() -> None:
    check_mixable([of_split("glyphs", script_split()), of_split("omniglot", vinyals_split())])


def test_cifar_fs_and_fc100_are_the_same_images() -> None:
    message = (
        "classes of fc100 must be unseen, but cifar_fs trains on 13 of them: cifar100/[a-z_]+, .* and 5 more; keep"
    )
    with pytest.raises(DataError, match=message) as caught:
        check_mixable([of_split("cifar_fs", bertinetto_split()), of_split("fc100", oreshkin_split())])
    assert len(re.findall("cifar100/", str(caught.value))) == 8
    assert "\n" not in str(caught.value)
