"""Tasks in calls that fit into memory."""

import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from metanas.errors import MemoryShortError

log = logging.getLogger(__name__)

T = TypeVar("T")


class Portions:
    """Cuts tasks into calls; where memory does not suffice for one, it is made for half as many tasks.

    Args:
        most: tasks in a call to begin with; None means all.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most

    def __call__(self, tasks: int, work: Callable[[int, int], T]) -> Iterator[T]:
        """`work(first, last)` for tasks `first` to `last - 1`, portion after portion.

        Raises:
            MemoryShortError: a single task needs more memory than there is.
        """
        first = 0
        while first < tasks:
            size = min(self._most or tasks, tasks - first)
            try:
                result = work(first, first + size)
            except RuntimeError as error:  # torch.OutOfMemoryError is one, and a CPU's has no type of its own
                if not _is_out_of_memory(error):
                    raise
                self._halve(size, error)
                continue
            yield result
            first += size

    def _halve(self, size: int, error: RuntimeError) -> None:
        """From now on half of `size` tasks in a call; later calls do not try the larger size again."""
        if size == 1:
            raise MemoryShortError(
                "a single task needs more memory than there is; lower space.width, data.resolution, task.n_query or "
                "inner.steps, or set inner.first_order=true"
            ) from error
        self._most = -(-size // 2)
        log.warning("memory does not suffice for %d tasks in one call: going on with %d", size, self._most)


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
