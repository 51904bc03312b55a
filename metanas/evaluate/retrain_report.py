"""The report of a training from scratch: one HTML file, written from the files of its run directory alone."""

import shlex
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from metanas.evaluate import page
from metanas.evaluate.epoch_curves import Panel, epoch_curves
from metanas.evaluate.figures import Rows
from metanas.evaluate.page import Html
from metanas.evaluate.run_files import Record, cell_pictures, environment, existing, figure, record, text, write_page
from metanas.evaluate.training_cost import compared, training_of
from metanas.evaluate.wording import count, percent, plain, seconds
from metanas.track.jsonl import read_rows

PANELS: Sequence[Panel] = (
    ("training loss (nats)", {"": "retrain/loss"}),
    ("training accuracy", {"": "retrain/acc"}),
)


def write_retrain_report(run_dir: Path, beside: Sequence[Path] = ()) -> Path:
    """Write `run_dir/report.html` and return its path.

    Args:
        run_dir: of the training.
        beside: other trainings, each of one seed or several, whose accuracy against search cost stands beside this one.

    Raises:
        RunError: the directory is no training from scratch, or one of its files cannot be read.
    """
    config = text(run_dir / "config.yaml")
    rows = read_rows(existing(run_dir / "metrics.jsonl"))
    env, result = (record(run_dir / name) for name in ("env.json", "result.json"))
    name = run_dir.resolve().name

    def build() -> list[Html]:
        return [
            page.heading(name, "cells trained from scratch"),
            *(_finished(result, env) if result else _unfinished(run_dir)),
            *([compared([training_of(path) for path in (run_dir, *beside)])] if beside else []),
            *_course(rows),
            *cell_pictures(run_dir / "cells", "Cells"),
            page.section("Configuration", page.code(config)),
            *environment(env),
            _reproduction(run_dir),
        ]

    return write_page(
        run_dir, build, "a result.json as a training from scratch writes it", "continue the training with --resume"
    )


def _finished(result: Record, env: Record) -> list[Html]:
    first, second = cast(Sequence[int], result["images"])
    known = [
        ("cells given as", _short(str(env.get("given", "text")))),
        ("parameters", count(result["params"])),
        ("MACs per image", count(result["macs"])),
        ("cells and width", f"{result['cells']} of {result['width']} channels"),
        ("epochs", plain(result["epochs"])),
        ("time", seconds(result["seconds"])),
        ("device", str(result["device"])),
        ("seed", plain(result["seed"])),
    ]
    return [
        page.headline(
            percent(result["test_error"]),
            f"error on the {second:,} test images of {result['dataset']} ({result['classes']} classes), after training "
            f"on {first:,} images.",
        ),
        page.facts(known),
        page.paragraph("The test images were looked at once, after the last epoch. The auxiliary head is not counted."),
        page.code(textwrap.fill(str(result["genotype"]), 100)),
    ]


def _short(given: str) -> str:
    """A name or a path; a whole genotype stands below anyway."""
    return "text" if "Genotype(" in given else given


def _unfinished(run_dir: Path) -> list[Html]:
    return [
        page.headline("not finished yet", "The training was stopped. To continue it:"),
        page.code(f"{_command(run_dir)} --out {shlex.quote(str(run_dir))} --resume"),
    ]


def _course(rows: Rows) -> list[Html]:
    if not any("retrain/epoch" in row for row in rows):
        return [page.section("Course", page.paragraph("No epoch has been finished yet."))]
    caption = "One point an epoch, on training images as they were changed at random."
    return [page.section("Course", figure(epoch_curves(rows, "retrain/epoch", PANELS), "loss and accuracy", caption))]


def _reproduction(run_dir: Path) -> Html:
    note = "On a CPU the same seed, versions and number of threads give the same figures."
    return page.section("How to reproduce", page.paragraph(note), page.code(f"{_command(run_dir)} --out NEW"))


def _command(run_dir: Path) -> str:
    """The cells are those of the configuration."""
    path = shlex.quote(str(run_dir / "config.yaml"))
    return f"metanas retrain {shlex.quote(str(run_dir))} -c {path}"
