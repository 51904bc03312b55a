"""Accuracy against search cost, for searches of one task that began at different places."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

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
    """A section with figures, what every search found, and the row (epoch, seconds, accuracy) of every epoch."""
    is_known = all(_course(one) for one in searches)
    head = ["search", "time", "meta-training before it", "supernet", "found cells", "random cells"]
    found = [
        [
            one.title,
            seconds(one.result.get("seconds")),
            seconds(one.result.get("start_seconds")),
            *(percent(one.result.get(f"accuracy_{name}")) for name in ("supernet", "child", "random")),
            *([percent(_course(one)[-1])] if is_known else []),
        ]
        for one in searches
    ]
    lines = [
        (one.title, f"{row['search/epoch']}", seconds(row["search/seconds"]), percent(row["search/acc"]))
        for one in searches
        for row in one.rows
    ]
    return page.section(
        "Accuracy against search cost",
        *([_true_figure(searches)] if is_known else []),
        _supernet_figure(searches),
        page.table([*head, *(["found cell, trained from scratch"] if is_known else [])], found),
        page.paragraph(
            "Cells with the supernet's weights, on the validation half. What they are worth is the test accuracy after "
            "a training of their own: metanas retrain for each of them, for random, and for cells that were found on "
            "another data set; then metanas report TRAINING --beside OTHER."
        )
        if not is_known
        else page.paragraph("Trained from scratch: test accuracy on CIFAR-10 by the table of NAS-Bench-201."),
        page.table(("search", "epoch", "time so far", "accuracy"), lines),
    )


def _supernet_figure(searches: Sequence[Searched]) -> Html:
    caption = (
        "Accuracy of the supernet on the validation half after every epoch. Seconds of meta-training are not in it."
    )
    courses = [
        (
            one.title,
            [
                (float(row["search/seconds"]), float(row["search/epoch"]), 100 * float(row["search/acc"]))
                for row in one.rows
            ],
        )
        for one in searches
    ]
    return figure(cost_curves(courses, "validation accuracy (%)"), "accuracy against cost", caption)


def _true_figure(searches: Sequence[Searched]) -> Html:
    caption = (
        "What the cell that the logits prefer is worth, before the search and after every epoch: test accuracy on "
        "CIFAR-10 by the table of NAS-Bench-201, which the search has not seen."
    )
    courses = []
    for one in searches:
        times = [(0.0, 0.0), *((float(row["search/seconds"]), float(row["search/epoch"])) for row in one.rows)]
        course = [(*time, 100 * accuracy) for time, accuracy in zip(times, _course(one), strict=True)]
        courses.append((one.title, course))
    return figure(cost_curves(courses, "true test accuracy (%)"), "true accuracy against cost", caption)


def _course(one: Searched) -> Sequence[float]:
    """The true accuracies on CIFAR-10 before the search and after every epoch; empty where there is no table."""
    data = cast(Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]], one.result.get("nas_bench_201", {}))
    return data["data"]["cifar10"]["accuracy_course"] if "data" in data else []


def cost_curves(courses: Sequence[tuple[str, Sequence[tuple[float, float, float]]]], label: str) -> "Figure":
    """Percentages over the seconds and over the epochs, a line for each of at most `MOST` searches.

    Args:
        courses: titles and their (seconds, epoch, percentage).
        label: of the vertical axis.
    """
    drawn = blank(11.0, 3.4)
    for axis, (axes, name) in enumerate(zip(drawn.subplots(1, 2, sharey=True), ("seconds", "epoch"), strict=True)):
        for colour, (title, course) in zip(COLOURS, courses, strict=False):
            places, values = [point[axis] for point in course], [point[2] for point in course]
            axes.plot(places, values, color=colour, label=title, linewidth=1.6, marker="o", markersize=3)
        style(axes, name, label if axis == 0 else "")
    axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return drawn
