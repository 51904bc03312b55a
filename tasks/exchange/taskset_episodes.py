"""Task sets of learn2learn as episodes (Arnold et al. 2020, arXiv 2008.12284).

A task of learn2learn is a pair (data, labels) with the support and query images of a class mixed, an episode has them
apart. learn2learn itself is not imported: of its `Taskset` two methods and a number are used.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from tasks.episode import Batch, Episode, Episodes, TaskSpec
from tasks.errors import DataError
from tasks.exchange.global_random import seeded
from tasks.stream import stream


class Described(Protocol):
    """One image of a task that was sampled and not yet loaded."""

    index: int
    """Where it lies in the data set."""


class Taskset(Protocol):
    """What is needed of a `learn2learn.data.Taskset`."""

    num_tasks: int
    """How many tasks there are; -1 for no end."""

    def sample_task_description(self) -> Sequence[Described]:
        """Which images make a task; drawn with global generators."""
        ...

    def get_task(self, task_description: Sequence[Described]) -> Sequence[Tensor]:
        """The images and labels of a task; their transforms may draw with global generators too."""
        ...


class TasksetEpisodes(Episodes):
    """The tasks of a learn2learn task set as episodes; implements `tasks.episode.Episodes`.

    The first `k_shot` images of each class are its support and the rest its query, as learn2learn's `partition_task`
    has it. Images come class after class.

    learn2learn draws with the global generators of Python, numpy and torch. They are seeded from (seed, index) while a
    task is drawn and put back afterwards, so episode `i` is the same in any order and in any process, as long as the
    task set draws with these alone, has no state, and its labels are integers. Tasks that the task set has drawn
    itself, and keeps in `sampled_descriptions`, are neither used nor changed. Not for several threads at once.

    Args:
        taskset: its tasks have `k_shot + n_query` images of each class, sampled without replacement, and labels
            0 .. n_way - 1 (`FusedNWaysKShots`, `LoadData`, `RemapLabels`); with `num_tasks` of its own, that many
            different episodes come again and again.
        spec: the shape of an episode.
        seed: any integer; another seed is another list of episodes.
    """

    def __init__(self, taskset: Taskset, spec: TaskSpec, seed: int) -> None:
        self.taskset = taskset
        self.spec = spec
        self.seed = seed

    def __getitem__(self, index: int) -> Episode:
        """Episode number `index` (any integer >= 0); `DataError` when the task is not one of `spec`."""
        if index < 0:
            raise IndexError(f"episodes are numbered from 0, got {index}")
        task = index if self.taskset.num_tasks < 0 else index % self.taskset.num_tasks
        with seeded(stream(self.seed, "taskset", task)):
            description = self.taskset.sample_task_description()
            x, y = self.taskset.get_task(description)
        images = [image.index for image in description]
        if len(set(images)) < len(images):
            raise DataError(
                f"task {task}: expected distinct images, or the query would show support images, got "
                f"{len(images) - len(set(images))} repeated; sample them with replacement=False"
            )
        return self._parted(x, y)

    def _parted(self, x: Tensor, y: Tensor) -> Episode:
        n_way, k = self.spec.n_way, self.spec.k_shot
        need = k + self.spec.n_query
        expected = (n_way * need, *self.spec.image)
        if tuple(x.shape) != expected:
            raise DataError(
                f"tasks of {n_way} classes with k_shot + n_query = {need} images each must have shape {expected}, "
                f"got {tuple(x.shape)}; change the task set's ways, shots or transform, or the spec"
            )
        rows = y.argsort(stable=True).view(n_way, need)  # stable: the task's own order says what is support
        labels = torch.arange(n_way, device=y.device)[:, None].expand(n_way, need)
        if not torch.equal(y[rows].long(), labels):
            raise DataError(
                f"labels must hold each of 0..{n_way - 1} {need} times, got {sorted(set(y.tolist()))}; "
                "add RemapLabels to the task transforms"
            )
        x = _floats(x)[rows.to(x.device)]
        return Episode(
            Batch(x[:, :k].flatten(0, 1), labels[:, :k].reshape(-1)),
            Batch(x[:, k:].flatten(0, 1), labels[:, k:].reshape(-1)),
        )


def _floats(x: Tensor) -> Tensor:
    if x.dtype == torch.uint8:
        return x.to(torch.get_default_dtype()) / 255
    if not (x.min() >= 0 and x.max() <= 1):  # also true of NaN
        raise DataError(
            f"expected images in [0, 1], got {x.min().item():.3g} to {x.max().item():.3g}; divide by 255, or leave "
            "normalisation out of the transform"
        )
    return x.to(torch.get_default_dtype())
