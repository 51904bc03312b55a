"""Accuracy against search cost, for searches of one task that began at different places."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from metanas.errors import RunError
from metanas.evaluate import page
from metanas.evaluate.epoch_curves import COLOURS
from metanas.evaluate.figures import INK, Rows, blank, style
from metanas.evaluate.page import Html
from metanas.evaluate.run_files import existing, figure
from metanas.evaluate.wording import percent, seconds
from metanas.track.jsonl import read_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = len(COLOURS)
"""Searches that one figure can tell apart."""


def epochs_of(run_dir: Path) -> Rows:
    """The rows of the epochs of a search.

    Raises:
        RunError: there is none, or it does not say what it cost.
    """
    rows = [row for row in read_rows(existing(run_dir / "metrics.jsonl")) if "search/epoch" in row]
    if not rows or any("search/seconds" not in row for row in rows):
        raise RunError(
            f"expected the seconds of every epoch in {run_dir / 'metrics.jsonl'}, got "
            f"{'none' if rows else 'no epoch'}; search again"
        )
    return rows


def compared(searches: Mapping[str, Rows]) -> Html:
    """A section with a figure and the rows (epoch, seconds, accuracy) of every search, by its title."""
    drawn = figure(
        cost_curves(searches),
        "accuracy against cost",
        "Accuracy of the supernet on the validation half after every epoch. Seconds of meta-training are not in it.",
    )
    lines = [
        (title, f"{row['search/epoch']}", seconds(row["search/seconds"]), percent(row["search/acc"]))
        for title, rows in searches.items()
        for row in rows
    ]
    return page.section(
        "Accuracy against search cost", drawn, page.table(("search", "epoch", "time so far", "accuracy"), lines)
    )


def cost_curves(searches: Mapping[str, Rows]) -> "Figure":
    """Accuracy over the seconds and over the epochs, a line for each of at most `MOST` searches."""
    figure = blank(11.0, 3.4)
    for axes, (name, label) in zip(
        figure.subplots(1, 2, sharey=True), (("search/seconds", "seconds"), ("search/epoch", "epoch")), strict=True
    ):
        for colour, (title, rows) in zip(COLOURS, searches.items(), strict=False):
            places, values = zip(*((row[name], 100 * float(row["search/acc"])) for row in rows), strict=True)
            axes.plot(places, values, color=colour, label=title, linewidth=1.6, marker="o", markersize=3)
        style(axes, label, "validation accuracy (%)" if name == "search/seconds" else "")
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return figure
