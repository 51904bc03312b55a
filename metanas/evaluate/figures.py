"""Figures of a run: matplotlib figures without global state, which `encode` turns into SVG or PNG."""

import io
import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from metanas.atomic import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, float | int | str]]
"""The rows of `metrics.jsonl`."""

INK, SOFT, GRID = "#0f172a", "#475569", "#e2e8f0"
BLUE, ORANGE, GREEN = "#2563eb", "#c2410c", "#15803d"
_SMOOTH = 50  # the bold line is a mean over at most this many points


class Bar(NamedTuple):
    """One compared network: a name, its accuracy and half the width of its 95 % interval, all in [0, 1]."""

    title: str
    accuracy: float
    ci95: float | None = None
    inductive: float | None = None
    inductive_ci95: float | None = None


def learning_curve(rows: Rows) -> "Figure":
    """Outer loss over the outer iterations, and validation accuracy where it was recorded."""
    has_accuracy = any("validation/acc" in row for row in rows)
    figure = blank(9.6, 3.4)
    panels = figure.subplots(1, 1 + has_accuracy, squeeze=False, gridspec_kw={"wspace": 0.08})[0]
    _trend(panels[0], rows, "meta/outer_loss", ORANGE)
    style(panels[0], "outer iteration", "outer loss (nats)")
    if has_accuracy:
        _validation(panels[1], rows)
        style(panels[1], "outer iteration", "validation accuracy (%)")
    return figure


def prior_heat_map(ops: Sequence[str], cells: Mapping[str, Sequence[Sequence[float]]]) -> "Figure":
    """Softmax probabilities of the operations (columns) on every edge (rows), one panel per kind of cell."""
    edges = max((len(table) for table in cells.values()), default=1)
    figure = blank(1.6 + 3.9 * len(cells), 1.9 + 0.27 * edges)
    panels = figure.subplots(1, max(1, len(cells)), squeeze=False)[0]
    top = max((value for table in cells.values() for row in table for value in row), default=1.0)
    for axes, (kind, table) in zip(panels, cells.items(), strict=False):
        percent = [[100 * value for value in row] for row in table]
        picture = axes.imshow(percent, cmap="Blues", vmin=0.0, vmax=100 * top, aspect="auto")
        for y, row in enumerate(table):
            for x, value in enumerate(row):
                colour = "white" if value > 0.6 * top else INK
                axes.text(x, y, f"{100 * value:.0f}", ha="center", va="center", fontsize=8, color=colour)
        axes.set_xticks(
            range(len(ops)),
            [op_label(op) for op in ops],
            rotation=40,
            ha="right",
            rotation_mode="anchor",
            fontsize=9,
            parse_math=False,
        )
        axes.set_yticks(range(len(table)), map(_edge, edge_names(len(table))), fontsize=9)
        axes.set_title(f"{kind} cell", fontsize=11, fontweight="bold", color=INK, loc="left", parse_math=False)
        axes.tick_params(length=0, colors=INK)
        axes.spines[:].set_visible(False)
    bar = figure.colorbar(picture, ax=list(panels), shrink=0.8, pad=0.02)
    bar.set_label("probability (%)", fontsize=9, color=SOFT)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=0, colors=SOFT)
    return figure


def comparison(bars: Sequence[Bar]) -> "Figure":
    """Accuracies of the compared networks with their 95 % intervals, the inductive ones below."""
    figure = blank(9.6, 0.9 + 0.62 * len(bars))
    axes = figure.subplots()
    both = any(bar.inductive is not None for bar in bars)
    half = 0.36 if both else 0.56
    for y, bar in enumerate(bars):
        pairs = [(bar.accuracy, _spread(bar.ci95), BLUE)]
        if bar.inductive is not None:
            pairs.append((bar.inductive, _spread(bar.inductive_ci95), "#93b4f5"))
        for i, (value, ci95, colour) in enumerate(pairs):
            at = y + (i - (len(pairs) - 1) / 2) * half
            axes.barh(at, 100 * value, half * 0.94, color=colour)
            axes.errorbar(100 * value, at, xerr=100 * ci95, color=INK, capsize=2.5, linewidth=1.1)
            axes.text(100 * (value + ci95) + 1.2, at, f"{100 * value:.1f}", va="center", fontsize=9, color=INK)
    axes.set_yticks(range(len(bars)), [textwrap.fill(bar.title, 26) for bar in bars], fontsize=10, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0, 106)
    style(axes, "accuracy on the query images (%)", "")
    axes.grid(visible=False, axis="y")
    if both:
        handles = [axes.barh([0], [0], color=colour) for colour in (BLUE, "#93b4f5")]
        axes.legend(
            handles,
            ["transductive", "inductive"],
            frameon=False,
            fontsize=9,
            ncols=2,
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            labelcolor=INK,
            borderaxespad=0.2,
        )
    return figure


def encode(figure: "Figure", kind: Literal["png", "svg"]) -> bytes:
    """The figure as the bytes of a file; the same figure gives the same bytes."""
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context({"svg.hashsalt": "metanas"}):
        if kind == "svg":
            figure.savefig(buffer, format="svg", metadata={"Date": None})
        else:
            figure.savefig(buffer, format="png", dpi=160)
    return buffer.getvalue()


def save(figure: "Figure", path: Path) -> None:
    """Write the figure in the format of the path's suffix, `.png` or `.svg`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, encode(figure, "svg" if path.suffix == ".svg" else "png"))


def edge_names(n_edges: int) -> list[str]:
    """What the rows of an architecture table are: every earlier state into every node, node after node.

    The number tells cells of two inputs from those of one, whose nodes are numbered from 1 as in NAS-Bench-201.

    >>> edge_names(5)
    ['c k-2 → 0', 'c k-1 → 0', 'c k-2 → 1', 'c k-1 → 1', '0 → 1']
    >>> edge_names(3)
    ['c k-1 → 1', 'c k-1 → 2', '1 → 2']
    """
    for inputs, first in ((["c k-2", "c k-1"], 0), (["c k-1"], 1)):
        names: list[str] = []
        node = first
        while len(names) < n_edges:
            sources = [*inputs, *map(str, range(first, node))]
            names.extend(f"{source} \N{RIGHTWARDS ARROW} {node}" for source in sources)
            node += 1
        if len(names) == n_edges:
            return names
    return [f"edge {i}" for i in range(n_edges)]


def blank(width: float, height: float) -> "Figure":
    """A white figure, in inches, that belongs to no global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def style(axes: "Axes", x: str, y: str) -> None:
    """Names the axes and leaves only what a reader needs."""
    axes.set_xlabel(x, fontsize=10, color=SOFT)
    axes.set_ylabel(y, fontsize=10, color=SOFT)
    axes.tick_params(length=0, labelsize=9, colors=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.grid(visible=True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


def _series(rows: Rows, name: str) -> tuple[list[float], list[float]]:
    """Outer iterations and values of one metric."""
    found = [(row["meta/iter"], row[name]) for row in rows if "meta/iter" in row and name in row]
    return [float(step) for step, _ in found], [float(value) for _, value in found]


def _smooth(values: Sequence[float]) -> list[float]:
    """A centred running mean, which does not lag; it skips what is not finite and is cut at both ends."""
    half = min(_SMOOTH // 2, len(values) // 20)
    smooth = []
    for i in range(len(values)):
        window = [value for value in values[max(0, i - half) : i + half + 1] if math.isfinite(value)]
        smooth.append(sum(window) / len(window) if window else math.nan)
    return smooth


def _trend(axes: "Axes", rows: Rows, name: str, colour: str) -> None:
    """Every value as a thin line and their running mean as a bold one; nothing without values."""
    steps, values = _series(rows, name)
    if steps:
        axes.plot(steps, values, color=colour, linewidth=0.7, alpha=0.35)
        axes.plot(steps, _smooth(values), color=colour, linewidth=2.0)


def _validation(axes: "Axes", rows: Rows) -> None:
    """Validation accuracies with their intervals; nothing without values."""
    steps, values = _series(rows, "validation/acc")
    if steps:
        spread = dict(zip(*_series(rows, "validation/acc_ci95"), strict=True))
        axes.errorbar(
            steps,
            [100 * value for value in values],
            yerr=[100 * _spread(spread.get(step)) for step in steps],
            color=GREEN,
            fmt="o-",
            markersize=4,
            linewidth=1.4,
            capsize=3,
        )


def _spread(ci95: float | None) -> float:
    """Zero for an interval that is not known, or infinite because there was one episode only."""
    return ci95 if ci95 is not None and math.isfinite(ci95) else 0.0


def _edge(name: str) -> str:
    """With the input states as mathematics."""
    return name.replace("c k-1", "$c_{k-1}$").replace("c k-2", "$c_{k-2}$")


def op_label(name: str) -> str:
    """An operation's name for people.

    >>> op_label("sep_conv_3x3")
    'sep conv 3×3'
    """
    return name.replace("_", " ").replace("3x3", "3×3").replace("5x5", "5×5").replace("skip connect", "skip")
