import pytest
import torch

from tasks import ClassSplit, DataError, Dataset, ImageBank
from tasks.augment import rotations


def data(height: int = 3) -> Dataset:
    pixels = torch.arange(5 * height * 3, dtype=torch.uint8).view(5, 1, height, 3)
    bank = ImageBank.from_classes("d", {"a": pixels[:2], "b": pixels[2:3], "c": pixels[3:]})
    return Dataset("d", bank, ClassSplit(("a",), ("b",), ("c",)))


def test_every_class_is_turned_three_times_within_its_split() -> None:
    turned = rotations(data())
    assert turned.name == "d-rotations"
    assert turned.split.train == ("a", "a/rot90", "a/rot180", "a/rot270")
    assert turned.split.test == ("c", "c/rot90", "c/rot180", "c/rot270")
    assert len(turned.bank.classes) == 12
    for k, suffix in enumerate(("", "/rot90", "/rot180", "/rot270")):
        for name in "abc":
            expected = torch.rot90(data().bank.images_of(name), k, (2, 3))
            assert torch.equal(turned.bank.images_of(name + suffix), expected)


def test_the_original_is_left_alone() -> None:
    before = data()
    rotations(before)
    assert torch.equal(before.bank.pixels, data().bank.pixels)
    assert before.bank.classes == ("a", "b", "c")


def test_only_square_images_can_be_turned() -> None:
    with pytest.raises(DataError, match="only square images can be turned by 90 degrees, got 2 x 3"):
        rotations(data(height=2))


def test_turning_twice_is_refused() -> None:
    with pytest.raises(DataError, match="classes are turned already, got 'a/rot90'; apply rotations once"):
        rotations(rotations(data()))
