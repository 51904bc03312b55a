"""Test accuracy against search cost: trainings from scratch whose cells were found in different ways, side by side."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, NamedTuple, cast

from metanas.errors import RunError
from metanas.evaluate import page
from metanas.evaluate.epoch_curves import COLOURS
from metanas.evaluate.figures import INK, blank, style
from metanas.evaluate.page import Html
from metanas.evaluate.run_files import Record, figure, record
from metanas.evaluate.wording import count, percent, plain, seconds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPREAD = "spread.json"
"""What a training has that was repeated with several seeds, beside the directories `seed-N` of these."""
MARKERS = "osD^"
MOST = len(COLOURS) * len(MARKERS)
"""Trainings that one figure can tell apart."""


class Training(NamedTuple):
    """Cells that were trained with one seed or several."""

    title: str
    results: Sequence[Record]
    """result.json of every seed."""

    def mean(self, key: str) -> float:
        """The mean over the seeds of a number of result.json."""
        return mean(cast(float, result[key]) for result in self.results)

    @property
    def deviation(self) -> float | None:
        """The standard deviation of the test error over the seeds; None with one."""
        errors = [cast(float, result["test_error"]) for result in self.results]
        return stdev(errors) if len(errors) > 1 else None

    @property
    def origin(self) -> Record:
        """Where the cells come from."""
        return cast(Record, self.results[0].get("origin", {}))

    @property
    def is_copied(self) -> bool:
        """Whether the cells were searched on another data set than they are trained on."""
        searched_on = str(self.origin.get("dataset", self.results[0]["dataset"]))
        return searched_on.split("/")[0] != self.results[0]["dataset"]

    @property
    def search_seconds(self) -> float | None:
        """What the search on this data set took; nothing for cells that needed none, None where it is not known."""
        kind = self.origin.get("kind", "text")
        if kind == "search" and not self.is_copied:
            return cast(float, self.origin["seconds"])
        return None if kind == "text" else 0.0


def training_of(path: Path) -> Training:
    """The finished training of a run directory, or those that `SPREAD` names where one was repeated with several seeds.

    Raises:
        RunError: there is none.
    """
    files = [path / "result.json"] if (path / "result.json").is_file() else _seeds(path)
    results = [record(file) for file in files]
    if not results or any("test_error" not in result for result in results):
        raise RunError(
            f"expected a finished training from scratch in {path}, or one in each {path}/seed-N, got "
            f"{'something else' if results else 'none'}; give what metanas retrain has written"
        )
    return Training(path.resolve().name, results)


def _seeds(path: Path) -> list[Path]:
    if not (path / SPREAD).is_file():
        return []
    return [path / f"seed-{seed}" / "result.json" for seed in cast(list[int], record(path / SPREAD)["seeds"])]


def compared(trainings: Sequence[Training]) -> Html:
    """A section with a figure and a row (cells, costs, error, size) for every training.

    Raises:
        RunError: there are more than the figure can tell apart, or they were tested on different data sets.
    """
    if len(trainings) > MOST:
        raise RunError(f"expected at most {MOST} trainings side by side, got {len(trainings)}; leave some out")
    data = sorted({str(training.results[0]["dataset"]) for training in trainings})
    if len(data) > 1:
        raise RunError(f"expected trainings on one data set side by side, got {', '.join(data)}; leave some out")
    caption = (
        "Test accuracy over the seconds of the search for the cells. Random, published and copied cells cost no search "
        "on this data; cells whose search is not known are left out. Bars: standard deviation over seeds."
    )
    head = ("training", "cells", "search", "meta-training", "seeds", "test error", "parameters", "MACs")
    lines = [
        (
            training.title,
            cells_of(training),
            "none" if training.search_seconds == 0 else seconds(training.search_seconds),
            seconds(training.origin["start_seconds"]) if training.origin.get("start") else "none",
            plain(len(training.results)),
            percent(training.mean("test_error"), training.deviation),
            count(training.mean("params")),
            count(training.mean("macs")),
        )
        for training in trainings
    ]
    note = "Meta-training: before the search, and of use to many; not in the figure. ± is one standard deviation."
    return page.section(
        "Test accuracy against search cost",
        figure(cost_points(trainings), "test accuracy against search cost", caption),
        page.table(head, lines),
        page.paragraph(note),
    )


def cells_of(training: Training) -> str:
    """Where the cells come from, in words."""
    origin = training.origin
    if origin.get("kind") == "search":
        began = "a meta-learned start" if origin.get("start") else "a random start"
        copied = "copied, " if training.is_copied else ""
        return f"{copied}found on {origin.get('dataset')} from {began}"
    return {"random": "random", "published": f"published, {origin.get('name')}"}.get(str(origin.get("kind")), "text")


def cost_points(trainings: Sequence[Training]) -> "Figure":
    """Test accuracy over search seconds, a point for each training."""
    drawn = blank(9.6, 3.8)
    axes = drawn.subplots()
    for number, training in enumerate(trainings):
        if training.search_seconds is None:
            continue
        axes.errorbar(
            training.search_seconds,
            100 * (1 - training.mean("test_error")),
            yerr=100 * (training.deviation or 0.0),
            color=COLOURS[number % len(COLOURS)],
            fmt=MARKERS[number // len(COLOURS)],
            markersize=7,
            capsize=3,
            label=f"{training.title}: {cells_of(training)}",
        )
    style(axes, "seconds of search", "test accuracy (%)")
    axes.margins(x=0.08, y=0.15)
    if axes.has_data():
        axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="upper left", bbox_to_anchor=(0.0, -0.2))
    return drawn
