"""The report of a single-task search: one HTML file, written from the files of its run directory alone."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from metanas.errors import RunError
from metanas.evaluate import figures, page, search_figures
from metanas.evaluate.figures import Rows
from metanas.evaluate.page import Html
from metanas.evaluate.run_files import Record, cell_pictures, environment, existing, figure, record, text, write_page
from metanas.evaluate.search_cost import MOST, compared, searched
from metanas.evaluate.wording import count, percent, plain, seconds
from metanas.track.jsonl import read_rows


def write_search_report(run_dir: Path, beside: Sequence[Path] = ()) -> Path:
    """Write `run_dir/report.html` and return its path.

    Args:
        run_dir: of the search.
        beside: directories of other searches, whose accuracy against cost stands beside that of this one.

    Raises:
        RunError: the directory is no search, or one of its files cannot be read; or more searches than a figure can
            tell apart.
    """
    if len(beside) >= MOST:
        raise RunError(f"expected at most {MOST - 1} searches beside {run_dir}, got {len(beside)}; leave some out")
    config = text(run_dir / "config.yaml")
    rows = read_rows(existing(run_dir / "metrics.jsonl"))
    env, result, arch = (record(run_dir / name) for name in ("env.json", "result.json", "arch.json"))
    name = run_dir.resolve().name

    def build() -> list[Html]:
        return [
            page.heading(name, "single-task architecture search"),
            *(_finished(result) if result else _unfinished(run_dir)),
            *_table(cast(Record, result.get("nas_bench_201", {}))),
            *_course(rows),
            *([compared([searched(path) for path in (run_dir, *beside)])] if beside else []),
            *_logits(arch),
            *cell_pictures(run_dir / "cells", "Found cells"),
            page.section("Configuration", page.code(config)),
            *environment(env),
            _reproduction(run_dir),
        ]

    return write_page(run_dir, build, "a result.json and an arch.json as a search writes them", "search again")


def _finished(result: Record) -> list[Html]:
    first, second = cast(Sequence[int], result["images"])
    signs = cast(Sequence[str], result["collapse"])
    ratios = cast(Mapping[str, float], result["skip_ratios"])
    known = [
        ("method", plain(result["method"])),
        ("epochs", plain(result["epochs"])),
        ("time", seconds(result["seconds"])),
        ("parameters of the found network", count(result["params"])),
        ("its MACs per image", count(result["macs"])),
        ("parameters of the supernet", count(result["params_supernet"])),
        *((f"skips in the {kind} cell", percent(ratio)) for kind, ratio in ratios.items()),
        ("began from", str(result["start"] or "random weights")),
    ]
    networks = [
        ("supernet, all operations mixed", percent(result["accuracy_supernet"])),
        ("found cells, inherited weights", percent(result["accuracy_child"])),
        ("random cells, inherited weights (mean)", percent(result["accuracy_random"])),
    ]
    chosen = (
        "The training half alone has chosen the cells"
        if result["method"] == "snas"
        else "The validation half has chosen the cells, so none of these is a test accuracy"
    )
    warning = f"Signs of a collapse: {'; '.join(signs)}." if signs else "No sign of a collapse."
    return [
        page.headline(
            percent(result["accuracy_supernet"]),
            f"accuracy of the supernet on the {second} validation images of {result['dataset']} "
            f"({result['classes']} classes); weights were learned from {first} others.",
        ),
        page.facts(known),
        page.paragraph(warning),
        page.table(("network, on the validation half", "accuracy"), networks, 1),
        page.paragraph(f"{chosen}; inherited weights were trained in the mixture, not in the decoded network."),
    ]


def _table(score: Record) -> list[Html]:
    """What the table of NAS-Bench-201 says of the found cell, trained from scratch."""
    if not score:
        return []
    title, arch = "NAS-Bench-201", page.code(str(score["arch"]))
    if "missing" in score:
        return [page.section(title, arch, page.paragraph(f"The accuracy is not known here: {score['missing']}."))]
    rows = [
        (
            name,
            *(_hundredths(row[f"accuracy_{which}"]) for which in ("valid", "test")),
            f"{plain(row['rank'])} of {plain(score['architectures'])}",
            _hundredths(row["accuracy_random"]),
            ", ".join(f"{_hundredths(acc)} ({other})" for other, acc in cast(Record, row["accuracy_copied"]).items()),
            _hundredths(row["accuracy_best"]),
        )
        for name, row in cast(Mapping[str, Record], score["data"]).items()
    ]
    head = ("data", "found: validation", "test", "rank by test", "random cell", "copied from", "best cell")
    note = (
        "Accuracies of architectures trained from scratch for 200 epochs (validation: 12), looked up after the search, "
        "which has seen none of them. Choose among searches by the validation column; the test columns are for the "
        "report. Random cell: the mean over the space. Copied: the cell that is best on another data set."
    )
    caption = "Test accuracy of the cell that the logits preferred before the search and after every epoch."
    course = figure(search_figures.table_course(cast(Mapping[str, Record], score["data"])), "true accuracy", caption)
    return [page.section(title, arch, page.table(head, rows), page.paragraph(note), course)]


def _hundredths(accuracy: object) -> str:
    """As the benchmark prints accuracies."""
    return f"{100 * cast(float, accuracy):.2f} %"


def _unfinished(run_dir: Path) -> list[Html]:
    command = (
        f"metanas search -c {shlex.quote(str(run_dir / 'config.yaml'))} --out {shlex.quote(str(run_dir))} --resume"
    )
    return [page.headline("not finished yet", "The search was stopped. To continue it:"), page.code(command)]


def _course(rows: Rows) -> list[Html]:
    if not any("search/epoch" in row for row in rows):
        return [page.section("Course", page.paragraph("No epoch has been finished yet."))]
    caption = "One point an epoch. Skip connections that fill the cells, and a growing eigenvalue, mean a collapse."
    return [page.section("Course", figure(search_figures.search_curve(rows), "losses and indicators", caption))]


def _logits(arch: Record) -> list[Html]:
    if not arch:
        return []
    ops = cast(Sequence[str], arch["ops"])
    now = figures.prior_heat_map(ops, cast(Mapping[str, Sequence[Sequence[float]]], arch["cells"]))
    course = search_figures.arch_history(ops, cast(Mapping[str, Sequence[Sequence[Sequence[float]]]], arch["history"]))
    return [
        page.section(
            "Operations",
            figure(now, "probabilities of the operations", "Probabilities of the operations on every edge."),
            figure(course, "probabilities over the epochs", "The same over the epochs, edge after edge."),
        )
    ]


def _reproduction(run_dir: Path) -> Html:
    command = f"metanas search -c {shlex.quote(str(run_dir / 'config.yaml'))} --out NEW"
    note = "The same seed, versions and number of threads give the same figures."
    return page.section("How to reproduce", page.paragraph(note), page.code(command))
