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


class Episode(NamedTuple):
    """One task: what may be learned from, and what judges the learning."""

    support: Batch
    query: Batch


@runtime_checkable
class Episodes(Protocol):
    """An endless, stateless source of episodes with random access."""

    spec: TaskSpec

    def __getitem__(self, index: int) -> Episode:
        """Episode number `index`, the same one at every call."""
        ...


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
    for name, batch, per_class in (
        ("support", episode.support, spec.k_shot),
        ("query", episode.query, spec.n_query),
    ):
        expected = (spec.n_way * per_class, *spec.image)
        if tuple(batch.x.shape) != expected:
            raise DataError(f"{name} images must have shape {expected}, got {tuple(batch.x.shape)}")
        counts = torch.bincount(batch.y, minlength=spec.n_way).tolist()
        if counts != [per_class] * spec.n_way:
            raise DataError(
                f"{name} labels must hold each of 0..{spec.n_way - 1} {per_class} times, got counts {counts}"
            )
