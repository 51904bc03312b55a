"""Halves that share no image, and batches that are a function of (seed, epoch, number)."""

from functools import partial

import pytest
import torch

from tasks.augment import horizontal_flip, random_crop
from tasks.bank import ImageBank
from tasks.errors import DataError
from tasks.halves import halves
from tasks.shuffled import Shuffled


def bank(counts: tuple[int, ...] = (4, 7, 2)) -> ImageBank:
    """Every image is of one value of its own."""
    values = iter(torch.arange(sum(counts)).split(list(counts)))
    images = {name: next(values).byte()[:, None, None, None].expand(-1, 1, 8, 8) for name in "abcdefgh"[: len(counts)]}
    return ImageBank.from_classes("bank", images)


def values(part: ImageBank) -> list[int]:
    return part.pixels[:, 0, 0, 0].tolist()


def test_the_halves_share_no_image_and_together_are_the_bank() -> None:
    first, second = halves(bank(), 0)
    assert sorted(values(first) + values(second)) == values(bank())
    assert first.classes == second.classes == ("a", "b", "c")
    assert (first.counts.tolist(), second.counts.tolist()) == ([2, 4, 1], [2, 3, 1])
    for part in (first, second):
        for name in part.classes:
            assert set(part.images_of(name)[:, 0, 0, 0].tolist()) <= set(bank().images_of(name)[:, 0, 0, 0].tolist())
    assert first.name != second.name


def test_the_halves_depend_on_the_seed_alone() -> None:
    assert [values(half) for half in halves(bank(), 0)] == [values(half) for half in halves(bank(), 0)]
    assert len({tuple(values(halves(bank(), seed)[0])) for seed in range(5)}) > 1


def test_a_class_with_one_image_has_no_halves() -> None:
    with pytest.raises(DataError, match="class 'b' has 1 images, two halves need at least 2"):
        halves(bank((4, 1, 2)), 0)


@pytest.mark.parametrize("size", [1, 4, 5, 13])
def test_an_epoch_shows_every_image_once_in_batches_of_nearly_one_size(size: int) -> None:
    batches = Shuffled(bank(), size, 0)
    epoch = [batches.batch(2, i) for i in range(len(batches))]
    shown = torch.cat([batch.x for batch in epoch])[:, 0, 0, 0] * 255
    assert sorted(shown.round().int().tolist()) == values(bank())
    sizes = {len(batch.y) for batch in epoch}
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1
    labels = {int(v): int(y) for v, y in zip(shown.round(), torch.cat([b.y for b in epoch]), strict=True)}
    assert labels == {v: 0 if v < 4 else 1 if v < 11 else 2 for v in range(13)}


def test_a_batch_is_a_function_of_seed_epoch_and_number() -> None:
    changes = [partial(random_crop, padding=2), horizontal_flip]
    one, two = Shuffled(bank(), 5, 0, changes), Shuffled(bank(), 5, 0, changes)
    for _ in range(2):  # asked for before, or not
        assert torch.equal(one.batch(3, 1).x, two.batch(3, 1).x)
        one.batch(0, 0)
    assert not torch.equal(one.rows(0, 0), one.rows(1, 0))
    assert not torch.equal(one.rows(0, 0), Shuffled(bank(), 5, 1).rows(0, 0))
    assert torch.equal(one.rows(0, 0), Shuffled(bank(), 5, 0).rows(0, 0))
    assert not torch.equal(one.batch(0, 0).x, Shuffled(bank(), 5, 0).batch(0, 0).x)


@pytest.mark.parametrize("size", [0, 14])
def test_batches_hold_at_most_what_is_there(size: int) -> None:
    with pytest.raises(DataError, match=f"bank: expected batches of 1 to 13 images, all that there are, got {size}"):
        Shuffled(bank(), size, 0)


def test_a_batch_that_is_not_there_is_refused() -> None:
    with pytest.raises(IndexError, match=r"a batch in 0..2, got 0, 3"):
        Shuffled(bank(), 5, 0).batch(0, 3)
