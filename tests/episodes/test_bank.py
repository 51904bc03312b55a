import pytest
import torch

from tasks import Batch, ClassSplit, DataError, Dataset, Episode, ImageBank, TaskSpec, check_episode
from tasks.bank import in_unit_range


def images(count: int, value: int = 0) -> torch.Tensor:
    return torch.full((count, 1, 2, 2), value, dtype=torch.uint8)


def test_a_class_is_a_slice() -> None:
    bank = ImageBank.from_classes("b", {"x": images(2, 1), "y": images(3, 2)})
    assert bank.counts.tolist() == [2, 3]
    assert torch.equal(bank.images_of("y"), images(3, 2))
    assert bank.image == (1, 2, 2)


def test_a_subset_keeps_the_asked_order() -> None:
    bank = ImageBank.from_classes("b", {"x": images(2, 1), "y": images(3, 2)}).subset("s", ["y", "x"])
    assert bank.classes == ("y", "x")
    assert torch.equal(bank.images_of("x"), images(2, 1))
    assert torch.equal(bank.images_of("y"), images(3, 2))


def test_a_subset_copies_no_pixel() -> None:
    whole = ImageBank.from_classes("b", {"x": images(2, 1), "y": images(3, 2)})
    part = whole.subset("s", ["y"])
    assert part.pixels.data_ptr() == whole.pixels.data_ptr()
    assert part.counts.tolist() == [3]


def test_what_is_no_bank_is_refused() -> None:
    with pytest.raises(DataError, match="b: expected at least one class of images, got none"):
        ImageBank.from_classes("b", {})
    with pytest.raises(DataError, match=r"pixels must be uint8 \[n, c, h, w\], got torch.float32"):
        ImageBank.from_classes("b", {"x": torch.zeros(1, 1, 2, 2)})
    with pytest.raises(DataError, match="class names must be unique, got 'x' twice"):
        ImageBank("b", ("x", "x"), images(2), torch.tensor([0, 1]), torch.tensor([1, 1]))
    with pytest.raises(DataError, match="b: the classes reach beyond the 2 images"):
        ImageBank("b", ("x",), images(2), torch.tensor([1]), torch.tensor([2]))
    with pytest.raises(DataError, match="a start and a count for each of 1 classes, at least one, got 1 and 2"):
        ImageBank("b", ("x",), images(2), torch.tensor([0]), torch.tensor([1, 1]))
    with pytest.raises(DataError, match="b: expected images of every class, got none of 'y'; leave the class out"):
        ImageBank.from_classes("b", {"x": images(1), "y": images(0)})
    with pytest.raises(DataError, match="the class list names 1 classes that b lacks, first 'z'"):
        ImageBank.from_classes("b", {"x": images(1)}).subset("s", ["x", "z"])


def test_splits_share_no_class() -> None:
    with pytest.raises(DataError, match="train and test share 1, first 'b'; remove it from one of the lists"):
        ClassSplit(("a", "b"), ("c",), ("b",))


def test_an_empty_split_is_refused_when_it_is_used() -> None:
    data = Dataset("d", ImageBank.from_classes("b", {"x": images(1)}), ClassSplit(("x",), (), ()))
    assert data["train"].name == "d/train"
    with pytest.raises(DataError, match="d: the test split has no classes"):
        data["test"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((1, 1, 1, (1, 2, 2)), "n_way must be at least 2, got 1"),
        ((2, 0, 1, (1, 2, 2)), "k_shot must be at least 1, got 0"),
        ((2, 1, 0, (1, 2, 2)), "n_query must be at least 1, got 0"),
        ((2, 1, 1, (1, 0, 2)), r"image must be \(channels, height, width\), all positive, got \(1, 0, 2\)"),
    ],
)
def test_impossible_tasks_are_refused(fields: tuple[int, int, int, tuple[int, int, int]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        TaskSpec(*fields)


def test_a_false_episode_is_refused() -> None:
    spec = TaskSpec(2, 1, 1, (1, 2, 2))
    good = Batch(torch.zeros(2, 1, 2, 2), torch.tensor([0, 1]))
    check_episode(Episode(good, good), spec)
    with pytest.raises(DataError, match=r"query labels must hold each of 0..1 1 times, got counts \[2, 0\]"):
        check_episode(Episode(good, Batch(good.x, torch.tensor([0, 0]))), spec)
    with pytest.raises(DataError, match=r"support images must have shape \(2, 1, 2, 2\), got \(3, 1, 2, 2\)"):
        check_episode(Episode(Batch(torch.zeros(3, 1, 2, 2), good.y), good), spec)


def test_every_byte_becomes_its_quotient_to_the_bit() -> None:
    x = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(in_unit_range(x), x.to(torch.float32) / 255)
