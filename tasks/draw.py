"""Which classes and images episodes show, drawn for many episodes at once.

Episode `number` shows what torch draws with `rng = stream(seed, *names, number)`:

    classes = torch.randperm(len(counts), generator=rng)[:n_way]
    keys = torch.rand(n_way, max(counts), generator=rng, dtype=torch.float32)

and of each class the images with the lowest keys. Drawn in this way, most of the time would go into calls, for a few
numbers each. Here one call gives all the random words of an episode, and the rest is arithmetic on those of all
episodes, to the same bits: `randperm` is a Fisher-Yates shuffle that takes a word of 32 bits an item and settles the
first items first, and `rand` takes the lowest 24 bits of a word.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from tasks.stream import streams

Whole = NDArray[np.int64]
_KEY = 1 << 24
"""More than any key."""


class Draw:
    """Draws the classes of episodes, and different images of each class.

    Args:
        seed: any integer.
        names: what the random streams of the episodes share, see `tasks.stream`.
        counts: how many images each class has, `[classes]`; at least `n_way` classes of at least `images`.
        n_way: classes of an episode.
        images: of a class in an episode.
    """

    def __init__(self, seed: int, names: Sequence[str | int], counts: Whole, *, n_way: int, images: int) -> None:
        self.seed, self.names, self.counts = seed, names, counts
        self.n_way, self.images = n_way, images
        self._widest = int(counts.max())
        self._is_even = int(counts.min()) == self._widest
        self._shuffling = len(counts) - 1
        self._choosing = n_way * self._widest

    def __call__(self, numbers: Sequence[int]) -> tuple[Whole, Whole]:
        """The episodes of these numbers: classes `[episodes, n_way]` and places in them `[episodes, n_way, images]`."""
        pairs = self._pairs(numbers)
        # Of the words that shuffle, those after the first `n_way` settle classes that are not drawn.
        classes = _shuffled(_words(pairs, 0, self.n_way), len(self.counts))
        keys = _words(pairs, self._shuffling, self._choosing) & (_KEY - 1)
        keys = keys.reshape(len(numbers), self.n_way, self._widest)
        if not self._is_even:
            keys[np.arange(self._widest) >= self.counts[classes][:, :, None]] = _KEY  # past a short class, so last
        return classes, lowest(keys, self.images)

    def _pairs(self, numbers: Sequence[int]) -> NDArray[np.uint64]:
        """All random words of the episodes, two in a number, the earlier one in its upper half: `[episodes, pairs]`."""
        pairs = torch.empty(len(numbers), -(-(self._shuffling + self._choosing) // 2), dtype=torch.int64)
        for row, rng in zip(pairs, streams(self.seed, self.names, numbers), strict=True):
            row.random_(-(2**63), None, generator=rng)
        return pairs.numpy().view(np.uint64)


def _words(pairs: NDArray[np.uint64], first: int, count: int) -> Whole:
    """Of the words in `pairs` those from number `first` on, row by row: `[..., count]`."""
    begin, end = first // 2, (first + count + 1) // 2
    words = np.empty((len(pairs), end - begin, 2), dtype=np.int64)
    np.right_shift(pairs[:, begin:end], 32, out=words[:, :, 0], casting="same_kind")
    np.bitwise_and(pairs[:, begin:end], 0xFFFFFFFF, out=words[:, :, 1], casting="same_kind")
    return words.reshape(len(pairs), 2 * (end - begin))[:, first % 2 : first % 2 + count]


def _shuffled(words: Whole, n: int) -> Whole:
    """The first items of 0 .. n - 1 shuffled with these words, one an item, row by row."""
    first = np.arange(words.shape[1])
    places = first + words % (n - first)
    for row, drawn in enumerate(places.tolist()):
        # An item that is swapped to the front is what its place began with, unless others were swapped there before.
        if min(drawn) < len(drawn) or len(set(drawn)) < len(drawn):
            places[row] = _swapped(drawn)
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
