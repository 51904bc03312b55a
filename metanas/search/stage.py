"""A part of a search that has a network of its own: deeper, and of fewer options, than the one before."""

from typing import NamedTuple

Kept = dict[str, list[list[str]]]
"""The operations that each edge of each kind of cell may still carry, in the order of the primitives."""


class Stage(NamedTuple):
    """Which part of a search it is; a search of one stage has the first alone."""

    number: int = 0
    kept: Kept | None = None
    """None for all operations."""
