"""Cells as PNG pictures, through matplotlib and with the layout of the SVG ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from metanas.spaces.space import CellEdge
from metanas.spaces.staircase import CLEAR, FAMILIES, INK, MARGIN, TINTS, Box, Wire, Wirings, lay_out_page

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Point = tuple[float, float]


def cells_png(cells: Mapping[str, Sequence[CellEdge]], wiring: Wirings, path: Path, title: str = "") -> None:
    """Write the picture of `draw_cells` as a PNG file, two pixels per unit of the SVG.

    Raises:
        GenotypeError: an edge that does not lead from an earlier state to an intermediate one.
    """
    from matplotlib.figure import Figure

    width, height, panels, legend = lay_out_page(cells, wiring, title)
    figure = Figure(figsize=(width / 72, height / 72), dpi=144, facecolor="white")
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    if title:
        _text(axes, (MARGIN, 36), title, 17, "bold")
    for panel, x, y in panels:
        _text(axes, (x + MARGIN, y + 30), f"{panel.name} cell", 14, "bold")
        for wire in panel.wires:
            _wire(axes, wire, x, y)
        for box in panel.boxes:
            _box(axes, box._replace(x=box.x + x, y=box.y + y))
    for name, x in legend:
        _pill(axes, (x, height - 32), 20, 12, (TINTS[name], FAMILIES[name]))
        _text(axes, (x + 27, height - 22), name, 12)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _text(axes: "Axes", at: Point, text: str, size: float, weight: str = "normal") -> None:
    axes.text(*at, text, size=size, weight=weight, color=INK, parse_math=False)


def _box(axes: "Axes", box: Box) -> None:
    _pill(axes, (box.x, box.y), box.width, box.height, box.colours)
    text, size = (f"${box.label}_{{{box.sub}}}$", 14.0) if box.sub else (box.label, 11.5)
    is_math = bool(box.sub)
    axes.text(*box.middle, text, size=size, color=INK, ha="center", va="center", zorder=3, parse_math=is_math)


def _pill(axes: "Axes", at: Point, width: float, height: float, colours: tuple[str, str]) -> None:
    from matplotlib.patches import FancyBboxPatch

    style = f"round,pad=0,rounding_size={min(width, height) / 2}"
    fill, line = colours
    axes.add_patch(FancyBboxPatch(at, width, height, style, fc=fill, ec=line, lw=1.4, zorder=2))


def _wire(axes: "Axes", wire: Wire, dx: float, dy: float) -> None:
    start, end = (wire.start[0] + dx, wire.start[1] + dy), (wire.end[0] + dx, wire.end[1] + dy)
    if not wire.radius:
        _line(axes, [start, end], wire.colour, 1.8)
        return
    turn = start[0] + wire.radius
    _line(axes, [(turn + CLEAR, end[1]), end], "white", 7.0)
    _line(axes, [start, (start[0], end[1]), (turn, end[1]), end], wire.colour, 1.8)


def _line(axes: "Axes", points: list[Point], colour: str, width: float) -> None:
    """A straight line through two points, or through four a line whose second point is a rounded corner."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    bend = [Outline.CURVE3, Outline.CURVE3] if len(points) == 4 else []
    outline = Outline(points, [Outline.MOVETO, *bend, Outline.LINETO])
    axes.add_patch(PathPatch(outline, fc="none", ec=colour, lw=width, zorder=1, capstyle="butt"))
