"""Any torch data set of labelled images as a bank."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from tasks import ClassSplit, DataError, EpisodeSampler, TaskSpec, check_episode
from tasks.exchange import from_torch

IMAGE = (1, 3, 4)
KINDS = ("uint8", "float", "two axes", "picture")


class Listed(Dataset[tuple[object, object]]):
    """A torch data set of what a list holds."""

    def __init__(self, items: list[tuple[object, object]]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[object, object]:
        return self.items[index]


def as_kind(pixels: Tensor, kind: str) -> object:
    """One grey image `[h, w]` as a data set may give it."""
    if kind == "picture":
        return Image.fromarray(pixels.numpy())
    return {"uint8": pixels[None], "float": pixels[None] / 255, "two axes": pixels}[kind]


def grey(number: int) -> Tensor:
    return (torch.arange(12).view(3, 4) * 7 + number * 5).to(torch.uint8)


@settings(max_examples=50, deadline=None, database=None)
@given(st.lists(st.tuples(st.integers(-3, 5).map(lambda y: 10 * y), st.sampled_from(KINDS)), min_size=1, max_size=25))
def test_no_image_is_lost_or_changed_and_all_lie_under_their_label(items: list[tuple[int, str]]) -> None:
    data = Listed([(as_kind(grey(i), kind), y) for i, (y, kind) in enumerate(items)])
    found = from_torch("made", data, IMAGE)
    labels = [y for y, _ in items]
    assert found.bank.classes == tuple(str(y) for y in sorted(set(labels)))
    assert dict(zip(found.bank.classes, found.bank.counts.tolist(), strict=True)) == Counter(map(str, labels))
    for name in found.bank.classes:
        expected = torch.stack([grey(i) for i, y in enumerate(labels) if str(y) == name])
        assert torch.equal(found.bank.images_of(name)[:, 0], expected)
    split = found.split
    assert sorted(split.train + split.validation + split.test) == sorted(found.bank.classes)


def test_labels_may_be_any_kind_of_integer() -> None:
    labels = [3, np.int64(3), torch.tensor(3), torch.tensor([3])]
    assert from_torch("made", Listed([(grey(0), y) for y in labels]), IMAGE).bank.counts.tolist() == [4]


def test_every_byte_survives_being_a_float() -> None:
    every = torch.arange(256, dtype=torch.uint8).view(1, 16, 16)
    inverted = 1 - (255 - every.float()) / 255  # the way of many transforms, a little off
    found = from_torch("made", Listed([(every / 255, 0), (every.double() / 255, 0), (inverted, 0)]), (1, 16, 16))
    assert torch.equal(found.bank.pixels, every.expand(3, 1, 16, 16))


def test_colours_and_sizes_are_converted() -> None:
    red = torch.zeros(3, 6, 8, dtype=torch.uint8)
    red[0] = 255
    picture = Image.new("RGB", (8, 6), (255, 0, 0))
    data = Listed([(red, 0), (red / 255, 0), (picture, 0)])
    assert from_torch("made", data, IMAGE).bank.pixels.unique().tolist() == [76]  # ITU-R 601 luma
    assert torch.equal(from_torch("made", data, (3, 3, 4)).bank.pixels, red[None, :, :3, :4].expand(3, -1, -1, -1))
    assert from_torch("made", Listed([(grey(0), 0)]), (3, 3, 4)).bank.pixels[0, 2].equal(grey(0))


def test_the_division_is_given_or_comes_from_the_seed() -> None:
    data = Listed([(grey(y), y) for y in range(25)])
    split = ClassSplit(("0", "7"), (), ("3",))
    assert from_torch("made", data, IMAGE, split=split)["train"].classes == ("0", "7")
    first, again, other = (from_torch("made", data, IMAGE, seed=seed).split for seed in (1, 1, 2))
    assert first == again != other
    assert (len(first.train), len(first.validation), len(first.test)) == (16, 4, 5)


def test_the_sampler_draws_from_it() -> None:
    x, y = torch.rand(60, 3, 8, 8), torch.arange(60) % 10 * 5
    found = from_torch("random", TensorDataset(x, y), (3, 8, 8))
    spec = TaskSpec(3, 1, 2, (3, 8, 8))
    check_episode(EpisodeSampler(found["train"], spec, 0)[0], spec)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (grey(0), 1.5, "made: item 1: expected an integer label, got 1.5; map labels to integers"),
        (grey(0), torch.tensor(2.0), r"item 1: expected an integer label, got tensor\(2.\); map"),
        (grey(0), torch.tensor([1, 2]), r"item 1: expected an integer label, got tensor\(\[1, 2\]\); map"),
        (grey(0), "cat", "item 1: expected an integer label, got 'cat'; map"),
        (grey(0).numpy(), 1, "item 1: expected a tensor or a Pillow picture, got ndarray; convert it"),
        (grey(0).int(), 1, "item 1: expected uint8 or float pixels, got torch.int32; convert them"),
        (torch.zeros(4, 3, 4), 1, r"item 1: expected an image \[h, w\], \[1, h, w\] or \[3, h, w\], got \[4, 3, 4\]"),
        (grey(0) - 1.0, 1, r"item 1: expected float pixels in \[0, 1\], got -1 to 76; leave normalisation out"),
        (torch.full((3, 4), torch.nan), 1, r"item 1: expected float pixels in \[0, 1\], got nan to nan"),
    ],
)
def test_what_is_no_labelled_image_is_told_in_one_line(x: object, y: object, message: str) -> None:
    data = Listed([(grey(0), 0), (x, y)])
    with pytest.raises(DataError, match=message) as caught:
        from_torch("made", data, IMAGE)
    assert "\n" not in str(caught.value)


def test_an_empty_data_set_is_refused() -> None:
    with pytest.raises(DataError, match="made: expected at least one class of images, got none"):
        from_torch("made", Listed([]), IMAGE)
