"""Episodes are drawn by arithmetic on random words; what they show is defined by calls of torch."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.draw import Draw, Whole, lowest
from tasks.stream import stream


def by_torch(seed: int, name: str, number: int, counts: Whole, n_way: int, images: int) -> tuple[list[int], list[int]]:
    """The definition, one episode and one class at a time."""
    rng = stream(seed, name, number)
    classes = torch.randperm(len(counts), generator=rng)[:n_way]
    keys = torch.rand(n_way, int(counts.max()), generator=rng, dtype=torch.float32)
    keys[torch.arange(keys.shape[1]) >= torch.from_numpy(counts)[classes][:, None]] = 2
    return classes.tolist(), keys.topk(images, largest=False).indices.tolist()


@st.composite
def banks(draw: st.DrawFn) -> tuple[Whole, int, int]:
    """Images in each class, ways, and images of a class in an episode."""
    images = draw(st.integers(1, 30))
    counts = draw(st.lists(st.integers(images, 200), min_size=2, max_size=40))
    return np.array(counts), draw(st.integers(2, len(counts))), images


@settings(max_examples=80, deadline=None, database=None)
@given(banks(), st.integers(-(2**40), 2**63 - 1), st.lists(st.integers(0, 2**62), max_size=4))
def test_a_draw_is_what_torch_would_draw(bank: tuple[Whole, int, int], seed: int, numbers: list[int]) -> None:
    counts, n_way, images = bank
    drawn = Draw(seed, ("made",), counts, n_way=n_way, images=images)(numbers)
    for number, classes, places in zip(numbers, *drawn, strict=True):
        assert (classes.tolist(), places.tolist()) == by_torch(seed, "made", number, counts, n_way, images)


@pytest.mark.parametrize(
    ("classes", "each", "n_way", "images"), [(1028, 20, 5, 16), (1028, 20, 20, 20), (64, 600, 5, 16)]
)
def test_a_draw_from_a_bank_of_the_size_of_a_published_one_is_what_torch_would_draw(
    classes: int, each: int, n_way: int, images: int
) -> None:
    counts = np.full(classes, each)
    drawn = Draw(0, ("noise",), counts, n_way=n_way, images=images)(range(400))
    for number, *found in zip(range(400), *drawn, strict=True):
        assert tuple(part.tolist() for part in found) == by_torch(0, "noise", number, counts, n_way, images)


@settings(max_examples=80, deadline=None, database=None)
@given(st.integers(1, 60), st.integers(1, 9), st.data())
def test_equal_keys_are_ranked_as_torch_ranks_them(n: int, values: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, n))
    keys = torch.randint(values, (3, 2, n), generator=stream(0, "keys", n, values))
    expected = keys.float().topk(count, largest=False).indices
    assert torch.equal(torch.from_numpy(lowest(keys.numpy(), count)), expected)


def test_threads_draw_beside_each_other() -> None:
    draw = Draw(0, ("made",), np.full(50, 20), n_way=5, images=16)

    def classes(number: int) -> list[int]:
        found: list[int] = draw([number])[0][0].tolist()
        return found

    alone = [classes(number) for number in range(200)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(classes, range(200))) == alone
