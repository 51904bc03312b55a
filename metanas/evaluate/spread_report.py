"""The report of a training that was repeated with several seeds: one HTML file, from their results alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from metanas.evaluate import page
from metanas.evaluate.page import Html
from metanas.evaluate.run_files import Record, write_page
from metanas.evaluate.training_cost import Training, cells_of, compared, training_of
from metanas.evaluate.wording import count, percent, plain, seconds


def write_spread_report(path: Path, beside: Sequence[Path] = ()) -> Path:
    """Write `path/report.html` and return its path.

    Args:
        path: the directory that holds the trainings, `seed-N` each.
        beside: other trainings, each of one seed or several, whose accuracy against search cost stands beside these.

    Raises:
        RunError: there is no finished training, or one of the files cannot be read.
    """

    def build() -> list[Html]:
        training, others = training_of(path), [training_of(other) for other in beside]
        return [
            page.heading(training.title, "cells trained from scratch with several seeds"),
            _headline(training),
            _seeds(training.results),
            *([compared([training, *others])] if others else []),
        ]

    return write_page(path, build, "the result.json of trainings from scratch", "train again")


def _headline(training: Training) -> Html:
    first = training.results[0]
    return page.headline(
        percent(training.mean("test_error"), training.deviation),
        f"test error on {first['dataset']} ({first['classes']} classes): mean and standard deviation over "
        f"{len(training.results)} seeds. Cells: {cells_of(training)}.",
    )


def _seeds(results: Sequence[Record]) -> Html:
    lines = [
        (
            plain(result["seed"]),
            percent(result["test_error"]),
            count(result["params"]),
            count(result["macs"]),
            seconds(cast(float, result["seconds"])),
        )
        for result in results
    ]
    return page.section("Seeds", page.table(("seed", "test error", "parameters", "MACs", "time"), lines))
