"""How cost grows with a size of the problem, as the exponent of a power law."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from metanas.bench.setting import Setting
from metanas.bench.timing import race
from metanas.meta.batch import Executor
from metanas.meta.maml import Maml

AXES: dict[str, Callable[[Setting, int], Setting]] = {
    "tasks": lambda setting, value: replace(setting, tasks=value),
    "ways": lambda setting, value: replace(setting, n_way=value),
    "cells": lambda setting, value: replace(setting, cells=value),
    "channels": lambda setting, value: replace(setting, channels=value),
}
"""What grows: the meta-batch, the classes of a task, the depth, the width."""


@dataclass(frozen=True)
class Growth:
    """Cost along one axis."""

    axis: str
    values: tuple[int, ...]
    tasks_per_second: tuple[float, ...]
    """Of meta-gradients, by value."""
    exponent: float
    """p of the fit seconds ~ value ** p, seconds of a whole meta-batch."""


def growth(setting: Setting, axis: str, values: Sequence[int], rounds: int, budget: float) -> Growth:
    """Times meta-gradients at each of `values`, in turn."""
    settings = [AXES[axis](setting, value) for value in values]
    ways = {str(value): _gradient(s) for value, s in zip(values, settings, strict=True)}
    times = race(ways, rounds, budget, setting.device)
    seconds = [times[str(value)].median for value in values]
    speed = tuple(s.tasks / t for s, t in zip(settings, seconds, strict=True))
    return Growth(axis, tuple(values), speed, exponent(values, seconds))


def _gradient(setting: Setting) -> Callable[[], object]:
    from metanas.bench.contest import inner

    start, episodes = setting.start(), setting.episodes(setting.tasks)
    loss, execute = setting.objective(), Executor(Maml(inner(setting, first_order=False)))
    return lambda: execute(loss, start, episodes)


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The slope of log cost over log size by least squares.

    >>> round(exponent([1, 2, 4], [3.0, 12.0, 48.0]), 6)
    2.0
    """
    x, y = [[math.log(value) for value in values] for values in (sizes, costs)]
    middle_x, middle_y = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - middle_x) * (b - middle_y) for a, b in zip(x, y, strict=True))
    return above / sum((a - middle_x) ** 2 for a in x)
