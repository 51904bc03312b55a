"""Accuracy against search cost, for searches of one task that began at different places."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from metanas.errors import RunError
from metanas.evaluate import page
from metanas.evaluate.epoch_curves import COLOURS
from metanas.evaluate.figures import INK, Rows, blank, style
from metanas.evaluate.page import Html
from metanas.evaluate.run_files import Record, existing, figure, record
from metanas.evaluate.wording import percent, seconds
from metanas.track.jsonl import read_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = len(COLOURS)
"""Searches that one figure can tell apart."""


class Searched(NamedTuple):
    """A search as it stands beside others."""

    title: str
    rows: Rows
    """Of its epochs."""
    result: Record
    """Of the finished search; empty before."""


def searched(run_dir: Path) -> Searched:
    """What is known about a search.

    Raises:
        RunError: it has no epoch, or one that does not say what it cost.
    """
    rows = [row for row in read_rows(existing(run_dir / "metrics.jsonl")) if "search/epoch" in row]
    if not rows or any("search/seconds" not in row for row in rows):
        raise RunError(
            f"expected the seconds of every epoch in {run_dir / 'metrics.jsonl'}, got "
            f"{'none' if rows else 'no epoch'}; search again"
        )
    result = record(run_dir / "result.json")
    began = (", meta-learned start" if result.get("start") else ", random start") if result else ""
    return Searched(f"{run_dir.resolve().name}{began}", rows, result)


def compared(searches: Sequence[Searched]) -> Html:
    """A section with a figure, what every search found, and the row (epoch, seconds, accuracy) of every epoch."""
    drawn = figure(
        cost_curves(searches),
        "accuracy against cost",
        "Accuracy of the supernet on the validation half after every epoch. Seconds of meta-training are not in it.",
    )
    found = [
        (
            one.title,
            seconds(one.result.get("seconds")),
            seconds(one.result.get("start_seconds")),
            *(percent(one.result.get(f"accuracy_{name}")) for name in ("supernet", "child", "random")),
        )
        for one in searches
    ]
    head = ("search", "time", "meta-training before it", "supernet", "found cells", "random cells")
    lines = [
        (one.title, f"{row['search/epoch']}", seconds(row["search/seconds"]), percent(row["search/acc"]))
        for one in searches
        for row in one.rows
    ]
    return page.section(
        "Accuracy against search cost",
        drawn,
        page.table(head, found),
        page.paragraph(
            "Cells with the supernet's weights, on the validation half. What they are worth is the test accuracy after "
            "a training of their own: metanas retrain for each of them, for random, and for cells that were found on "
            "another data set; then metanas report TRAINING --beside OTHER."
        ),
        page.table(("search", "epoch", "time so far", "accuracy"), lines),
    )


def cost_curves(searches: Sequence[Searched]) -> "Figure":
    """Accuracy over the seconds and over the epochs, a line for each of at most `MOST` searches."""
    figure = blank(11.0, 3.4)
    for axes, (name, label) in zip(
        figure.subplots(1, 2, sharey=True), (("search/seconds", "seconds"), ("search/epoch", "epoch")), strict=True
    ):
        for colour, one in zip(COLOURS, searches, strict=False):
            places, values = zip(*((row[name], 100 * float(row["search/acc"])) for row in one.rows), strict=True)
            axes.plot(places, values, color=colour, label=one.title, linewidth=1.6, marker="o", markersize=3)
        style(axes, label, "validation accuracy (%)" if name == "search/seconds" else "")
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return figure
