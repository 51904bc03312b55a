"""The role of a tracker: it receives what a run measured, and never what a run needs.

A row carries its own position, `meta/iter` while meta-training, `search/step` while searching, `retrain/step` while
training from scratch and `eval/episode` while evaluating, so that no tracker has to count: a resumed run repeats a row
under the same position, and readers can tell. The docstrings here hold for every implementation.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

Row = Mapping[str, float | int | str]
"""Scalars by metric name; the part before the first `/` is the section, e.g. `meta/outer_loss`."""

TRAIN_STEP = "meta/iter"
"""Outer iterations done when the row was written; the position of every training and validation row."""

SEARCH_STEP = "search/step"
"""Steps of a single-task search done when the row was written; the position of every row of a search."""

RETRAIN_STEP = "retrain/step"
"""Steps of a training from scratch done when the row was written; the position of each of its rows."""

EXPLORE_STEP = "explore/candidate"
"""Cells scored by an exploration when the row was written; the position of every row of an exploration."""

EVAL_STEP = "eval/episode"
"""Episodes scored when the row was written; the position of every evaluation row."""


@runtime_checkable
class Tracker(Protocol):
    """Receives scalars, pictures and files of one run."""

    def log(self, row: Row) -> None:
        """Record one row; it carries its own position."""
        ...

    def image(self, name: str, path: Path, iteration: int) -> None:
        """Record a PNG picture that belongs to the outer iteration, or the step of a search, `iteration`."""
        ...

    def artifact(self, name: str, kind: str, path: Path, aliases: tuple[str, ...]) -> None:
        """Record a file or a directory under a name, a kind ("checkpoint"), and aliases ("latest")."""
        ...

    def finish(self, exit_code: int) -> None:
        """Flush and release everything; nothing is recorded afterwards."""
        ...
