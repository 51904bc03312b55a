"""Which classes and images episodes show, drawn for many episodes at once.

Episode `number` shows what torch draws with `rng = stream(seed, *names, number)`:

    classes = torch.randperm(len(counts), generator=rng)[:n_way]
    keys = torch.rand(n_way, max(counts), generator=rng, dtype=torch.float32)

and of each class the images with the lowest keys. Drawn in this way, most of the time would go into calls, for a few
numbers each. Here one call gives all the random words of an episode, and the rest is arithmetic on those of all
episodes, to the same bits: numpy has torch's generator (MT19937, seeded alike), `randperm` is a Fisher-Yates shuffle
that takes a word an item and settles the first items first, and `rand` takes the lowest 24 bits of a word.
"""

import threading
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tasks.stream import seeds

Whole = NDArray[np.int64]
_KEY = 1 << 24
"""More than any key."""


class _Twister(threading.local):
    """A generator of this thread, since making one takes longer than the drawing; it is seeded before each use."""

    def __init__(self) -> None:
        self.words = np.random.MT19937(0)
        self.start = np.random.RandomState(self.words)


_TWISTER = _Twister()


def draw(
    seed: int, names: Sequence[str | int], numbers: Sequence[int], counts: Whole, *, n_way: int, images: int
) -> tuple[Whole, Whole]:
    """The classes of these episodes, and `images` different images of each class.

    Args:
        seed: any integer.
        names: what the random streams of these episodes share, see `tasks.stream`.
        numbers: which episodes.
        counts: how many images each class has, `[classes]`; at least `n_way` classes of at least `images`.
        n_way: classes of an episode.
        images: of a class in an episode.

    Returns:
        Classes `[episodes, n_way]` and places in them `[episodes, n_way, images]`.
    """
    shuffling, widest = len(counts) - 1, int(counts.max())
    words = np.empty((len(numbers), shuffling + n_way * widest), dtype=np.int64)
    for row, start in zip(words, seeds(seed, names, numbers), strict=True):
        _TWISTER.start.seed(start & 0xFFFFFFFF)  # the part of a seed that torch uses too
        row[:] = _TWISTER.words.random_raw(words.shape[1])
    classes = _shuffled(words[:, :n_way], len(counts))
    keys = (words[:, shuffling:] & (_KEY - 1)).reshape(len(numbers), n_way, widest)
    if counts.min() < widest:
        keys[np.arange(widest) >= counts[classes][:, :, None]] = _KEY  # a place past a short class comes last
    return classes, lowest(keys, images)


def _shuffled(words: Whole, n: int) -> Whole:
    """The first items of 0 .. n - 1 shuffled with these words, one an item, row by row."""
    first = np.arange(words.shape[1])
    places = first + words % (n - first)
    # An item that is swapped to the front is what its place began with, unless others were swapped there before.
    in_order = np.sort(places)
    is_touched = (in_order[:, 0] < len(first)) | (in_order[:, 1:] == in_order[:, :-1]).any(1)
    for row in np.flatnonzero(is_touched):
        places[row] = _swapped(places[row].tolist())
    return places


def _swapped(places: list[int]) -> list[int]:
    """The first items after each has been swapped with the one at its place, one after another."""
    first, moved = [], dict[int, int]()
    for i, j in enumerate(places):
        first.append(moved.get(j, j))
        moved[j] = moved.get(i, i)
    return first


def lowest(keys: Whole, count: int) -> Whole:
    """Where the `count` lowest of `keys`, 0 to 2^24, are in each row `[..., n]`, in their order: `[..., count]`.

    Whole numbers are sorted, with the place behind the key. Which of two equal keys `torch.topk` puts first depends on
    its way through the row, and is part of what an episode is; so where some of the lowest are equal, it does the work.
    """
    n = keys.shape[-1]
    bits = n.bit_length()
    placed = keys << bits | np.arange(n)
    if 4 * count < n:  # else it is as fast to sort them all
        placed = np.partition(placed, count)[..., : count + 1]
    placed.sort()
    ranked = placed[..., : count + 1] >> bits
    if (ranked[..., 1:] == ranked[..., :-1]).any():
        return torch.from_numpy(keys).float().topk(count, largest=False).indices.numpy()
    return placed[..., :count] & ((1 << bits) - 1)
