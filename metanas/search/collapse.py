"""Signs that a search has collapsed: cells full of skip connections, and a validation loss that curves ever more."""

from collections.abc import Mapping, Sequence

from metanas.spaces.space import CellEdge

SKIP = "skip_connect"
MOST_SKIPS = 0.5
"""Share of a cell's operations at which it counts as collapsed; P-DARTS allows a quarter (arXiv 1904.12760)."""
WINDOW, LAG, GROWTH = 5, 4, 1.3
"""RobustDARTS's stop rule (arXiv 1909.09656): evaluations averaged, evaluations back, and the factor."""


def skip_ratios(cells: Mapping[str, Sequence[CellEdge]]) -> dict[str, float]:
    """The share of skip connections among the operations of each kind of cell, 0 to 1."""
    return {kind: sum(edge.op == SKIP for edge in edges) / len(edges) for kind, edges in cells.items()}


def is_sharp(eigenvalues: Sequence[float]) -> bool:
    """Whether the mean size of the last five eigenvalues exceeds 1.3 times that of four evaluations earlier.

    The dominant one is that of the largest size, and may be negative.

    >>> is_sharp([1.0] * 9), is_sharp([1.0] * 5 + [2.0] * 4)
    (False, True)
    >>> is_sharp([-1.0] * 9), is_sharp([-1.0] * 5 + [-2.0] * 4)
    (False, True)
    """
    if len(eigenvalues) < WINDOW + LAG:
        return False
    sizes = [abs(eigenvalue) for eigenvalue in eigenvalues]
    now, before = sizes[-WINDOW:], sizes[-WINDOW - LAG : -LAG]
    return sum(now) / WINDOW > GROWTH * sum(before) / WINDOW


def signs(ratios: Mapping[str, float], eigenvalues: Sequence[float]) -> list[str]:
    """What speaks for a collapse, in words; empty where nothing does."""
    found = [
        f"{100 * ratio:.0f} % of the {kind} cell's operations are skip connections"
        for kind, ratio in ratios.items()
        if ratio >= MOST_SKIPS
    ]
    if is_sharp(eigenvalues):
        found.append("the dominant Hessian eigenvalue has grown by more than 1.3 within four evaluations")
    return found
