"""The report of a run: one HTML file that can be mailed, archived, or put beside a paper.

It is written from the files of the run directory alone. `config.yaml` and `metrics.jsonl` must be there;
`env.json`, `arch.json`, `cells/*.svg`, `result.json` and `transfer.json` each add their part, and a run
without a result gets a report of its training that says how to obtain one.
"""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from metanas.evaluate import figures, page
from metanas.evaluate.figures import Rows
from metanas.evaluate.page import Html
from metanas.evaluate.run_files import Record, environment, existing, figure, record, text, write_page
from metanas.evaluate.transfer_report import transfer_section
from metanas.evaluate.wording import MISSING, count, difference, nats, percent, plain, points, seconds, task_shape
from metanas.track.jsonl import read_rows

_CELLS_SHOWN = 6
_GENOTYPES_SHOWN = 8


def write_report(run_dir: Path) -> Path:
    """Write `run_dir/report.html` and return its path.

    Raises:
        RunError: the directory is no run, or one of its files cannot be read.
    """
    config = text(run_dir / "config.yaml")
    rows = read_rows(existing(run_dir / "metrics.jsonl"))
    names = ("env.json", "result.json", "arch.json", "transfer.json")
    env, result, arch, transfer = (record(run_dir / name) for name in names)

    def build() -> list[Html]:
        return [
            page.heading(run_dir.resolve().name, _subtitle(result)),
            *(_evaluated(result) if result else _unevaluated(run_dir)),
            *_training(rows),
            *_prior(arch),
            *_cells(run_dir / "cells", result),
            *transfer_section(transfer),
            page.section("Configuration", page.code(config)),
            *environment(env),
            _reproduction(run_dir, env, result),
        ]

    return write_page(
        run_dir, build, "a result.json and an arch.json as an evaluation writes them", "evaluate the run again"
    )


def _subtitle(result: Record) -> str:
    if not result:
        return "meta-learned neural architecture search"
    what = "meta-learning with a fixed architecture" if _is_fixed(result) else "meta-learned neural architecture search"
    return f"{what} on {result['dataset']}, {task_shape(result)}"


def _is_fixed(result: Record) -> bool:
    return result.get("architecture") == "fixed"


def _evaluated(result: Record) -> list[Html]:
    mode, is_seen = str(result["mode"]), result["split"] == "train"
    sentence = (
        f"on {result['episodes']} {'' if is_seen else 'unseen '}{task_shape(result)} episodes of {result['dataset']} "
        f"({result['split']} classes{', which it has seen' if is_seen else ''}), {mode}"
    )
    if result.get("accuracy_inductive") is not None and mode != "inductive":
        sentence += f"; {percent(result.get('accuracy_inductive'), result.get('ci95_inductive'))} inductive"
    known = [
        ("deployed network", "fixed architecture" if _is_fixed(result) else plain(result.get("deployed"))),
        ("parameters", count(result.get("params"))),
        ("MACs per image", count(result.get("macs"))),
        ("median time to adapt", seconds(result.get("adapt_seconds_median"))),
        ("distinct architectures", plain(result.get("distinct_genotypes"))),
        ("entries of a cell that differ from the prior's", plain(result.get("changed_entries"))),
        ("posterior entropy an edge", nats(result.get("posterior_entropy"))),
        ("lost by decoding", points(result.get("decode_gap"))),
        ("outer iterations", plain(result.get("meta_iterations"))),
        ("meta-training time", seconds(result.get("meta_seconds"))),
        ("and of the run that it began from", seconds(result.get("start_seconds"))),
        ("device", _device(result)),
    ]
    explanation = (
        "\N{PLUS-MINUS SIGN} is half the width of the 95 % interval of the mean over episodes. "
        + _normalisation(result)
    )
    return [
        page.headline(percent(result["accuracy"], result.get("ci95")), sentence + "."),
        page.facts([(name, value) for name, value in known if value != MISSING]),
        page.paragraph(explanation),
        *_sources(result),
        *_comparison(result),
    ]


def _normalisation(result: Record) -> str:
    kept = result.get("reference")
    if kept:
        return (
            f"All images are normalised with the statistics of {kept} training images, so that a prediction depends on "
            "its own image and the support set alone: transductive and inductive are the same, unless a network says "
            "that it takes the query images together."
        )
    return (
        "Transductive: the query images of an episode are normalised together; inductive: with the statistics of the "
        "support images."
    )


def _comparison(result: Record) -> list[Html]:
    networks = cast(Mapping[str, Record], result.get("baselines") or {})
    if not networks:
        return []
    bars = [
        figures.Bar(
            str(entry["title"]),
            cast(float, entry["accuracy"]),
            cast(float | None, entry["ci95"]),
            cast(float | None, entry.get("accuracy_inductive")),
            cast(float | None, entry.get("ci95_inductive")),
        )
        for entry in networks.values()
    ]
    rows = [
        (
            str(entry["title"]),
            percent(entry.get("accuracy"), entry.get("ci95")),
            percent(entry.get("accuracy_inductive"), entry.get("ci95_inductive")),
            difference(entry.get("difference"), entry.get("difference_ci95")),
            count(entry.get("params")),
            count(entry.get("macs")),
            seconds(entry.get("adapt_seconds_median")),
        )
        for entry in networks.values()
    ]
    deployed = _deployed(networks, result)
    head = ("network", "transductive", "inductive", "difference", "parameters", "MACs", "time per task")
    return [
        page.section(
            "Comparison",
            page.paragraph(
                f"All on the same {result['episodes']} episodes. Marked: the deployed network; difference: how far a "
                "network is above it in the same episodes, transductive, in points."
            ),
            page.table(head, rows, deployed),
            figure(figures.comparison(bars), "accuracy of the compared networks", "Mean and 95 % interval."),
        )
    ]


def _sources(result: Record) -> list[Html]:
    """The deployed network on each of several data sets."""
    parts = cast(Mapping[str, Mapping[str, Record]], result.get("sources") or {})
    row = _deployed(cast(Mapping[str, Record], result.get("baselines") or {}), result)
    if not parts or row is None:
        return []
    rows = []
    for name, networks in parts.items():
        entry = list(networks.values())[row]
        rows.append(
            (
                name,
                percent(entry.get("accuracy"), entry.get("ci95")),
                percent(entry.get("accuracy_inductive"), entry.get("ci95_inductive")),
                str(entry["episodes"]),
            )
        )
    note = "The deployed network on each; the headline is their mean, in which every data set counts equally."
    table = page.table(("data set", "transductive", "inductive", "episodes"), rows)
    return [page.section("Data sets", page.paragraph(note), table)]


def _deployed(networks: Mapping[str, Record], result: Record) -> int | None:
    """The row of the headline; None in a result that does not say."""
    headline = str(result.get("headline"))
    return list(networks).index(headline) if headline in networks else None


def _unevaluated(run_dir: Path) -> list[Html]:
    return [
        page.headline("not evaluated yet", "This report shows the training; result.json is missing. To obtain it:"),
        page.code(f"metanas evaluate {shlex.quote(str(run_dir))}"),
    ]


def _training(rows: Rows) -> list[Html]:
    steps = [row["meta/iter"] for row in rows if "meta/iter" in row]
    if not steps:
        return [page.section("Training", page.paragraph("No iteration has been recorded yet."))]
    last = {name: value for row in rows if "meta/iter" in row for name, value in row.items()}
    known = [
        ("iterations", plain(last["meta/iter"])),
        ("outer loss", plain(last.get("meta/outer_loss"))),
        ("validation accuracy", percent(last.get("validation/acc"), last.get("validation/acc_ci95"))),
        ("tasks per second", plain(last.get("meta/tasks_per_s"))),
        ("architecture entropy", plain(last.get("arch/entropy"))),
    ]
    caption = "Thin: every recorded iteration. Bold: running mean. Points: validation classes, never trained on."
    return [
        page.section(
            "Learning curve",
            figure(figures.learning_curve(rows), "outer loss and accuracy over the outer iterations", caption),
            page.paragraph("Last recorded values:"),
            page.facts([(name, value) for name, value in known if value != MISSING]),
        )
    ]


def _prior(arch: Record) -> list[Html]:
    if not arch:
        return []
    picture = figures.prior_heat_map(
        cast(Sequence[str], arch["ops"]), cast(Mapping[str, Sequence[Sequence[float]]], arch["cells"])
    )
    caption = "Where a new task begins: the probability of every operation on every edge, before its first step."
    return [page.section("Meta-learned prior", figure(picture, "probabilities of the operations", caption))]


def _cells(folder: Path, result: Record) -> list[Html]:
    pictures = (
        sorted(folder.glob("*.svg"), key=lambda path: (path.stem != "prior", path.stem)) if folder.is_dir() else []
    )
    parts = [
        page.picture(path.read_bytes(), path.stem.replace("_", " "), is_framed=False)
        for path in pictures[:_CELLS_SHOWN]
    ]
    found = cast(Sequence[Record], result.get("genotypes") or ())
    if found:
        listed = sum(cast(int, entry["episodes"]) for entry in found)
        total = max(1, listed, cast(int, result.get("episodes") or 0))
        most = sorted(found, key=lambda entry: -cast(int, entry["episodes"]))[:_GENOTYPES_SHOWN]
        rows = [
            (
                " ".join(map(str, cast(Sequence[int], entry["genotype"]))),
                str(entry["episodes"]),
                f"{100 * cast(int, entry['episodes']) / total:.0f} %",
            )
            for entry in most
        ]
        parts.append(
            page.paragraph(f"The most frequent of {result.get('distinct_genotypes', len(found))} architectures:")
        )
        parts.append(page.table(("genotype", "episodes", "share"), rows))
    if not parts:
        return []
    shown = "What the search decoded for test tasks, and what the prior decodes to before it has seen a task."
    return [page.section("Example cells", page.paragraph(shown), *parts)]


def _reproduction(run_dir: Path, env: Record, result: Record) -> Html:
    split = result.get("split", "test")
    asked = ["--split", str(split)] if split != "test" else []
    asked += map(str, cast(Sequence[str], result.get("overrides") or ()))
    quoted = shlex.quote(str(run_dir))
    commands = [
        f"metanas meta-train -c {shlex.quote(str(run_dir / 'config.yaml'))}",
        f"metanas evaluate {shlex.join([str(run_dir), *asked])}",
        f"metanas report {quoted}",
    ]
    argv = env.get("argv")
    parts = [page.code("\n".join(commands))]
    if isinstance(argv, list):
        parts += [page.paragraph("This run was started with:"), page.code(shlex.join(map(str, argv)))]
    note = "The same seed and versions give the same figures, on any number of cores."
    return page.section("How to reproduce", page.paragraph(note), *parts)


def _device(result: Record) -> str:
    device, threads = result.get("device"), result.get("threads")
    if device is None:
        return MISSING
    return f"{device}, {threads} processes" if device == "cpu" and threads else str(device)
