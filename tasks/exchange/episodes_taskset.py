"""Episodes as a task set of learn2learn (Arnold et al. 2020, arXiv 2008.12284).

learn2learn itself is not imported: its code takes whatever has the methods of its `Taskset`.
"""

import torch
from torch import Tensor

from tasks.episode import Episodes
from tasks.errors import DataError
from tasks.stream import stream


class EpisodesTaskset:
    """Episodes as what learn2learn's code calls a task set: `sample()`, indexing, length and iteration.

    A task is (data `[n, c, h, w]`, labels `[n]`), class after class, and in each class support images first:
    `learn2learn.data.partition_task(data, labels, shots=k_shot)` gives support and query of the episode.

    Args:
        episodes: where the tasks come from.
        num_tasks: how many of them, from number 0 on, at least 1.
        seed: of `sample`.

    Raises:
        DataError: when `num_tasks` is less than 1.
    """

    def __init__(self, episodes: Episodes, num_tasks: int, seed: int = 0) -> None:
        if num_tasks < 1:
            raise DataError(f"a task set needs at least 1 task, got num_tasks={num_tasks}; give a large number")
        self.episodes = episodes
        self.num_tasks = num_tasks
        self.seed = seed
        self._samples = 0

    def __len__(self) -> int:
        return self.num_tasks

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """Task number `index`, the same one at every call."""
        if not 0 <= index < self.num_tasks:
            raise IndexError(f"tasks are numbered from 0 to {self.num_tasks - 1}, got {index}")
        support, query = self.episodes[index]
        x, y = torch.cat([support.x, query.x]), torch.cat([support.y, query.y])
        order = y.argsort(stable=True)
        return x[order], y[order]

    def sample(self) -> tuple[Tensor, Tensor]:
        """A task drawn uniformly; the n-th call gives the same one in every run."""
        rng = stream(self.seed, "sample", self._samples)
        self._samples += 1
        return self[int(torch.randint(self.num_tasks, (), generator=rng))]
