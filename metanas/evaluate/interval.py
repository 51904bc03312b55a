"""Means with their uncertainty."""

import math
from collections.abc import Sequence
from typing import NamedTuple


class Interval(NamedTuple):
    """A mean and the half-width of its 95 % interval."""

    mean: float
    ci95: float


def interval(values: Sequence[float]) -> Interval:
    """mean +- 1.96 * standard deviation (n - 1) / sqrt(n) over episodes, in double precision.

    The interval of a single value is infinite. Raises `ValueError` for no value at all.

    >>> interval([0.25, 0.5, 0.75])
    Interval(mean=0.5, ci95=0.2829016319029166)
    """
    if not values:
        raise ValueError("an interval needs at least one value, got none")
    n = len(values)
    mean = math.fsum(values) / n
    if n == 1:
        return Interval(mean, math.inf)
    variance = math.fsum((v - mean) ** 2 for v in values) / (n - 1)
    return Interval(mean, 1.96 * math.sqrt(variance / n))


def stratified(parts: Sequence[Interval]) -> Interval:
    """The mean of independent means, each counting as much; how they differ does not widen its interval.

    >>> stratified([Interval(0.25, 0.03), Interval(0.75, 0.04)])
    Interval(mean=0.5, ci95=0.025)
    """
    n = len(parts)
    return Interval(math.fsum(p.mean for p in parts) / n, math.hypot(*(p.ci95 for p in parts)) / n)
