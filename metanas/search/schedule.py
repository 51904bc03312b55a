"""How numbers change over a search: from one value to another while progress goes from 0 to 1."""

import math


def cosine(start: float, end: float, progress: float) -> float:
    """Half a cosine wave (Loshchilov & Hutter 2017, arXiv 1608.03983, equation 5).

    >>> [round(cosine(0.025, 0.001, p), 4) for p in (0, 0.5, 1)]
    [0.025, 0.013, 0.001]
    """
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def linear(start: float, end: float, progress: float) -> float:
    """A straight line.

    >>> linear(10, 0, 0.25)
    7.5
    """
    return start + (end - start) * progress


def geometric(start: float, end: float, progress: float) -> float:
    """Equal factors in equal times; both values above 0.

    >>> round(geometric(1, 0.01, 0.5), 6)
    0.1
    """
    return float(start * (end / start) ** progress)
