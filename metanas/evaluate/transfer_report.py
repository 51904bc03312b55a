"""The transfer between data sets as a report shows it: the matrix, and the operations that tasks choose."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from metanas.evaluate import page
from metanas.evaluate.figures import GRID, INK, SOFT, blank, op_label
from metanas.evaluate.page import Html
from metanas.evaluate.run_files import Record, figure
from metanas.evaluate.wording import difference, percent, task_shape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Entries = Mapping[str, Mapping[str, float]]
"""A row of the matrix: by judged data set, `accuracy`, `ci95`, `difference` and `difference_ci95`."""


def transfer_section(result: Record) -> list[Html]:
    """What transfer.json says; nothing without one."""
    if not result:
        return []
    sources = cast(Sequence[str], result["sources"])
    matrix = cast(Mapping[str, Entries], result["matrix"])
    controls = cast(Mapping[str, Record], result["controls"])
    rows = {f"cells of {name}": row for name, row in matrix.items()}
    rows |= {str(row["title"]): cast(Entries, row) for row in controls.values()}
    cells = cast(Mapping[str, Record], result["cells"])
    note = (
        f"{result['episodes']} {task_shape(result)} episodes of each data set ({result['split']} classes), "
        f"{result['mode']}. Every network begins at the same meta-learned weights and takes as many support steps; "
        "only its cell differs. A task gets a cell that a task of the named data set chose, on the diagonal that is "
        "another task of its own data set. In brackets: points above the diagonal in the same episodes."
    )
    table = [
        (
            name,
            *(
                f"{percent(row[s]['accuracy'], row[s]['ci95'])} "
                f"({difference(row[s]['difference'], row[s]['difference_ci95'])})"
                for s in sources
            ),
        )
        for name, row in rows.items()
    ]
    facts = [
        (name, str(cell["distinct"]), f"{100 * cast(float, cell['modal_share']):.0f} %") for name, cell in cells.items()
    ]
    caption = "Which operations the tasks of each choose; an edge that a cell leaves out counts as none."
    shares = {name: cast(Mapping[str, float], cell["operations"]) for name, cell in cells.items()}
    return [
        page.section(
            "Transfer between data sets",
            page.paragraph(note),
            figure(
                transfer_matrix(rows, sources), "accuracy by where cells come from", "Rows: where the cell is from."
            ),
            page.table(("cell", *(f"on {name}" for name in sources)), table),
            figure(operation_shares(shares), "operations by data set", caption),
            page.table(("data set", "distinct cells", "share of the most frequent one"), facts),
        )
    ]


def transfer_matrix(rows: Mapping[str, Entries], sources: Sequence[str]) -> "Figure":
    """Accuracies of `rows` (where cells come from) on `sources` (columns), coloured by their difference from the
    diagonal."""
    drawn = blank(3.6 + 2.1 * len(sources), 1.0 + 0.62 * len(rows))
    axes = drawn.subplots()
    points = [[100 * row[source]["difference"] for source in sources] for row in rows.values()]
    most = max(1.0, *(abs(value) for line in points[: len(sources)] for value in line))  # a control may be far off
    picture = axes.imshow(points, cmap="RdBu", vmin=-most, vmax=most, aspect="auto")
    for y, row in enumerate(rows.values()):
        for x, source in enumerate(sources):
            entry = row[source]
            above = difference(entry["difference"], entry["difference_ci95"])
            text = f"{percent(entry['accuracy'], entry['ci95'])}\n{above}"
            colour = "white" if abs(points[y][x]) > 0.6 * most else INK
            axes.text(x, y, text, ha="center", va="center", fontsize=9, color=colour, parse_math=False)
    axes.axhline(len(sources) - 0.5, color=INK, linewidth=1.4)
    names = [textwrap.fill(name, 34) for name in rows]
    _label(axes, [f"on {source}" for source in sources], names)
    bar = drawn.colorbar(picture, ax=axes, shrink=0.8, pad=0.02, extend="both")
    bar.set_label("points above the diagonal", fontsize=9, color=SOFT)
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=0, colors=SOFT)
    return drawn


def operation_shares(shares: Mapping[str, Mapping[str, float]]) -> "Figure":
    """How often the tasks of each data set (rows) choose each operation (columns), in % of their edges."""
    ops = list(next(iter(shares.values())))
    values = [[100 * row[op] for op in ops] for row in shares.values()]
    top = max(1.0, *(value for line in values for value in line))
    drawn = blank(2.4 + 0.85 * len(ops), 1.5 + 0.45 * len(shares))
    axes = drawn.subplots()
    axes.imshow(values, cmap="Blues", vmin=0.0, vmax=top, aspect="auto")
    for y, line in enumerate(values):
        for x, value in enumerate(line):
            colour = "white" if value > 0.6 * top else INK
            axes.text(x, y, f"{value:.0f}", ha="center", va="center", fontsize=9, color=colour)
    _label(axes, [op_label(op) for op in ops], list(shares))
    return drawn


def _label(axes: "Axes", columns: Sequence[str], rows: Sequence[str]) -> None:
    axes.set_xticks(range(len(columns)), columns, rotation=25, ha="right", rotation_mode="anchor", fontsize=9)
    axes.set_yticks(range(len(rows)), rows, fontsize=9, parse_math=False)
    axes.tick_params(length=0, colors=INK)
    axes.spines[:].set_color(GRID)
