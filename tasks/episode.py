"""Episodes: the few-shot tasks that everything above this layer drinks from.

An episode is one N-way K-shot classification task: a *support* set to adapt on and a *query* set to be judged on, with
labels 0 .. n_way - 1 that mean nothing outside the episode (Vinyals et al. 2016, arXiv 1606.04080, section 2.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from tasks.errors import DataError


@dataclass(frozen=True)
class TaskSpec:
    """The shape of an episode: N-way K-shot with `n_query` query images a class."""

    n_way: int
    """Classes in an episode, at least 2."""
    k_shot: int
    """Support images a class, at least 1."""
    n_query: int
    """Query images a class, at least 1."""
    image: tuple[int, int, int]
    """Channels, height and width of an image."""
    varied: bool = False
    """Episodes differ in ways and shots, and the numbers above are the most that one has."""

    def __post_init__(self) -> None:
        for name, least in (("n_way", 2), ("k_shot", 1), ("n_query", 1)):
            if getattr(self, name) < least:
                raise DataError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if len(self.image) != 3 or min(self.image) < 1:
            raise DataError(f"image must be (channels, height, width), all positive, got {self.image}")


class Batch(NamedTuple):
    """Labelled images; a pytree, so it crosses `torch.func` transforms."""

    x: Tensor
    """Float images in [0, 1], `[*tasks, n, c, h, w]`."""
    y: Tensor
    """Integer labels in 0 .. n_way - 1, `[*tasks, n]`."""

    def to(self, dtype: torch.dtype) -> "Batch":
        """The same with images of that precision."""
        return Batch(self.x.to(dtype), self.y)


class Episode(NamedTuple):
    """One task: what may be learned from, and what judges the learning."""

    support: Batch
    query: Batch

    def part(self, first: int, last: int) -> "Episode":
        """Tasks `first` to `last - 1` of episodes with a leading `tasks` axis."""
        return Episode(*(Batch(batch.x[first:last], batch.y[first:last]) for batch in self))


class Stack(NamedTuple):
    """Episodes of one shape, which can be worked on together."""

    numbers: tuple[int, ...]
    """Which episodes these are, in rising order."""
    n_way: int
    """Classes in each of them."""
    episode: Episode
    """Their images and labels with a leading `tasks` axis."""

    def part(self, first: int, last: int) -> "Stack":
        """Episodes `first` to `last - 1` of these."""
        return Stack(self.numbers[first:last], self.n_way, self.episode.part(first, last))


@runtime_checkable
class Episodes(Protocol):
    """An endless, stateless source of episodes with random access. Sources inherit `stacks` or draw faster."""

    spec: TaskSpec

    def __getitem__(self, index: int) -> Episode:
        """Episode number `index`, the same one at every call."""
        ...

    def stacks(self, numbers: Sequence[int]) -> list[Stack]:
        """The episodes of these distinct `numbers` in stacks: a single one, unless the episodes are varied."""
        alone = ((number, self[number]) for number in numbers)
        return regroup([Stack((i,), n_way_of(episode), stack([episode])) for i, episode in alone])


def n_way_of(episode: Episode) -> int:
    """How many classes an episode has; its support set shows all of them."""
    return int(episode.support.y.max()) + 1


def regroup(stacks: Sequence[Stack]) -> list[Stack]:
    """The same episodes in as few stacks as there are shapes, which come in the order of their first numbers."""
    shapes: dict[tuple[int, ...], list[Stack]] = {}
    for part in stacks:
        support, query = part.episode
        shapes.setdefault((part.n_way, support.y.shape[1], query.y.shape[1]), []).append(part)
    return sorted(_joined(parts) for parts in shapes.values())


def _joined(parts: Sequence[Stack]) -> Stack:
    numbers = [number for part in parts for number in part.numbers]
    order = sorted(range(len(numbers)), key=numbers.__getitem__)
    if len(parts) == 1 and order == list(range(len(numbers))):
        return parts[0]

    def batch(batches: Sequence[Batch]) -> Batch:
        return Batch(*(torch.cat(tensors)[order] for tensors in zip(*batches, strict=True)))

    episode = Episode(*(batch(batches) for batches in zip(*(part.episode for part in parts), strict=True)))
    return Stack(tuple(numbers[i] for i in order), parts[0].n_way, episode)


def stack(episodes: Sequence[Episode]) -> Episode:
    """Episodes of one shape as a single episode with a leading `tasks` axis."""

    def batch(parts: Sequence[Batch]) -> Batch:
        return Batch(torch.stack([p.x for p in parts]), torch.stack([p.y for p in parts]))

    return Episode(batch([e.support for e in episodes]), batch([e.query for e in episodes]))


def spans(first: int, last: int, size: int) -> list[tuple[int, int]]:
    """`first` to `last - 1` cut into pieces (first, last) of at most `size`; 0 keeps them together.

    >>> spans(0, 10, 4)
    [(0, 4), (4, 8), (8, 10)]
    """
    step = size or last - first
    return [(i, min(i + step, last)) for i in range(first, last, step)]


def check_episode(episode: Episode, spec: TaskSpec) -> None:
    """Raises `DataError` when `episode` is not what `spec` promises (shapes, label range, class counts)."""
    n_way = n_way_of(episode) if spec.varied else spec.n_way
    if not 2 <= n_way <= spec.n_way:
        raise DataError(f"an episode must have 2 to {spec.n_way} classes, got {n_way}")
    for name, batch, most in (
        ("support", episode.support, spec.k_shot),
        ("query", episode.query, spec.n_query),
    ):
        expected = (len(batch.y) if spec.varied else n_way * most, *spec.image)
        if tuple(batch.x.shape) != expected:
            raise DataError(f"{name} images must have shape {expected}, got {tuple(batch.x.shape)}")
        counts = torch.bincount(batch.y, minlength=n_way).tolist()
        least = 1 if spec.varied else most
        if len(counts) != n_way or not least <= min(counts) <= max(counts) <= most:
            times = f"{least} to {most}" if spec.varied else most
            raise DataError(f"{name} labels must hold each of 0..{n_way - 1} {times} times, got counts {counts}")
