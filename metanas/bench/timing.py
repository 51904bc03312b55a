"""Seconds of several ways to do the same, taken in turn, so that a machine that slows down slows all of them alike.

On a CPU they are seconds of the processor: on one thread those of the clock, but for the time that other programs take.
On a GPU they are seconds of the clock until it has finished.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch


class Times(NamedTuple):
    """Seconds of repeated runs."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.seconds)

    @property
    def spread(self) -> tuple[float, float]:
        """The quartiles around the median; of fewer than four runs the fastest and the slowest."""
        if len(self.seconds) < 4:
            return min(self.seconds), max(self.seconds)
        first, _, third = statistics.quantiles(self.seconds, n=4)
        return first, third


def race(ways: Mapping[str, Callable[[], object]], rounds: int, budget: float, device: str = "cpu") -> dict[str, Times]:
    """Each way once per round, in turn, after one round that is not counted unless it takes half of the budget.

    The first round finds files, caches and lazy imports cold, which tells in runs of a second and not in those of
    a minute. On a GPU it also records graphs and chooses kernels, so there it never counts, nor its time.

    Args:
        ways: by name.
        rounds: at most so many are counted, and at least two.
        budget: seconds after which no further round begins.
        device: where they work.
    """
    if device != "cpu":
        for way in ways.values():
            way()
    began = time.perf_counter()
    seconds = {name: [_time(way, device)] for name, way in ways.items()}
    if time.perf_counter() - began < budget / 2:
        seconds = {name: [] for name in ways}
    while (counted := min(map(len, seconds.values()))) < rounds:
        if counted >= 2 and time.perf_counter() - began > budget:
            break
        for name, way in ways.items():
            seconds[name].append(_time(way, device))
    return {name: Times(tuple(values)) for name, values in seconds.items()}


def _time(way: Callable[[], object], device: str) -> float:
    began = _now(device)
    way()
    return _now(device) - began


def _now(device: str) -> float:
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()
