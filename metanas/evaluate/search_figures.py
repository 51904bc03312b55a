"""Figures of a single-task search: losses and accuracy, collapse indicators, and the logits over time."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from metanas.evaluate.epoch_curves import Panel, epoch_curves
from metanas.evaluate.figures import INK, SOFT, Rows, blank, op_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def search_curve(rows: Rows) -> "Figure":
    """Losses, validation accuracy and skip ratios over the epochs, and the Hessian eigenvalue where it is known."""
    losses = {"training": "search/train_loss", "validation": "search/valid_loss"}
    skips = {name.removeprefix("skip_ratio/"): name for row in rows for name in row if name.startswith("skip_ratio/")}
    panels: list[Panel] = [
        ("loss (nats)", losses),
        ("validation accuracy", {"supernet": "search/acc"}),
        ("skip connections in a cell", skips),
    ]
    if any("search/eigenvalue" in row for row in rows):
        panels.append(("dominant Hessian eigenvalue", {"": "search/eigenvalue"}))
    return epoch_curves(rows, "search/epoch", panels)


def table_course(data: Mapping[str, Mapping[str, object]]) -> "Figure":
    """The test accuracy of the decoded cell over the epochs: CIFAR-10 on the left, the other data sets on the right."""
    courses = {name: cast(Sequence[float], row["accuracy_course"]) for name, row in data.items()}
    rows = [
        {"epoch": epoch} | {name: 100 * accuracy for name, accuracy in zip(courses, now, strict=True)}
        for epoch, now in enumerate(zip(*courses.values(), strict=True))
    ]
    first, *others = courses
    panels = [(f"test accuracy, {first} (%)", {"": first}), ("test accuracy (%)", {name: name for name in others})]
    return epoch_curves(rows, "epoch", panels)


def arch_history(ops: Sequence[str], course: Mapping[str, Sequence[Sequence[Sequence[float]]]]) -> "Figure":
    """Probabilities over the epochs: a panel for each kind of cell, a row for each operation of each edge.

    Args:
        ops: names of the operations.
        course: by cell kind `[1 + epochs, edges, ops]`, the first before any step.
    """
    edges = max((len(tables[0]) for tables in course.values()), default=1)
    figure = blank(1.2 + 5.2 * len(course), 1.2 + 0.13 * edges * len(ops))
    panels = figure.subplots(1, max(1, len(course)), squeeze=False)[0]
    top = max((p for tables in course.values() for table in tables for row in table for p in row), default=1.0)
    for axes, (kind, tables) in zip(panels, course.items(), strict=False):
        lines = [
            [100 * table[edge][op] for table in tables] for edge in range(len(tables[0])) for op in range(len(ops))
        ]
        picture = axes.imshow(lines, cmap="Blues", vmin=0.0, vmax=100 * top, aspect="auto", interpolation="nearest")
        for edge in range(1, len(tables[0])):
            axes.axhline(edge * len(ops) - 0.5, color=SOFT, linewidth=0.6)
        names = [op_label(op) for _ in tables[0] for op in ops]
        axes.set_yticks(range(len(lines)), names, fontsize=6, parse_math=False)
        axes.set_title(f"{kind} cell", fontsize=11, fontweight="bold", color=INK, loc="left", parse_math=False)
        axes.set_xlabel("epoch", fontsize=10, color=SOFT)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.tick_params(length=0, colors=INK)
        axes.spines[:].set_visible(False)
    bar = figure.colorbar(picture, ax=list(panels), shrink=0.8, pad=0.02)
    bar.set_label("probability (%)", fontsize=9, color=SOFT)
    bar.outline.set_visible(False)
    return figure
