"""Results on several data sets: one entry for each, and their mean."""

from collections.abc import Mapping

from metanas.evaluate.interval import Interval, stratified
from metanas.run.comparison import Summary

_PAIRS = (
    ("accuracy", "ci95"),
    ("accuracy_inductive", "ci95_inductive"),
    ("difference", "difference_ci95"),
)
"""Means and the half-widths of their intervals."""


def averaged(pooled: Mapping[str, Summary], parts: Mapping[str, Mapping[str, Summary]]) -> dict[str, Summary]:
    """All methods' entries of result.json, with accuracies that count every data set equally.

    Args:
        pooled: the entries of all episodes together.
        parts: the entries of each data set.
    """
    return {name: entry | _accuracies([part[name] for part in parts.values()]) for name, entry in pooled.items()}


def _accuracies(entries: list[Summary]) -> Summary:
    found: Summary = {}
    for mean, ci95 in _PAIRS:
        known = [Interval(m, c) for e in entries if isinstance(m := e[mean], float) and isinstance(c := e[ci95], float)]
        if known:
            found |= dict(zip((mean, ci95), stratified(known), strict=True))
    return found
