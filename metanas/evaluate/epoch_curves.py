"""Curves over the epochs of a run: a panel for each quantity, a line for each metric."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from metanas.evaluate.figures import BLUE, GREEN, INK, ORANGE, Rows, blank, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (BLUE, ORANGE, GREEN, INK)
"""Of lines, in their order."""

Panel = tuple[str, Mapping[str, str]]
"""What the vertical axis says, and the metric of each line by its label."""


def epoch_curves(rows: Rows, epoch: str, panels: Sequence[Panel]) -> "Figure":
    """The panels, two in a row, over the values of the metric `epoch`."""
    figure = blank(11.0, 2.9 * ((len(panels) + 1) // 2))
    grid = figure.subplots((len(panels) + 1) // 2, 2, squeeze=False).flatten()
    for axes, (title, lines) in zip(grid, panels, strict=False):
        _lines(axes, rows, epoch, lines)
        style(axes, "epoch", title)
        axes.xaxis.get_major_locator().set_params(integer=True)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    return figure


def _lines(axes: "Axes", rows: Rows, epoch: str, lines: Mapping[str, str]) -> None:
    """One line for each metric, over the epochs of the rows that have it."""
    for colour, (label, name) in zip(COLOURS, lines.items(), strict=False):
        found = [(row[epoch], row[name]) for row in rows if epoch in row and name in row]
        if found:
            epochs, values = zip(*found, strict=True)
            axes.plot(epochs, values, color=colour, label=label, linewidth=1.6, marker="o", markersize=3)
    if len(lines) > 1 and axes.get_lines():
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)
