"""Cells as pictures: SVG text here, and in `raster.py` PNG files for places that take no SVG."""

from collections.abc import Mapping, Sequence
from html import escape

from metanas.spaces.raster import cells_png as cells_png
from metanas.spaces.space import CellEdge as CellEdge
from metanas.spaces.space import Wiring as Wiring
from metanas.spaces.staircase import CLEAR, FAMILIES, INK, MARGIN, TINTS, Box, Wire, Wirings, lay_out_page

_FONT = "Inter, Helvetica Neue, Helvetica, Arial, sans-serif"


def draw_cells(cells: Mapping[str, Sequence[CellEdge]], wiring: Wirings, title: str = "") -> str:
    """The cells as one self-contained SVG text.

    Args:
        cells: edges by kind of cell, e.g. "normal" and "reduction".
        wiring: how many states the cells have, and which are their inputs and outputs; of all, or by kind.
        title: a line above the cells.

    Raises:
        GenotypeError: an edge that does not lead from an earlier state to an intermediate one.
    """
    width, height, panels, legend = lay_out_page(cells, wiring, title)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" font-family="{_FONT}">',
        f"<title>{escape(title or ', '.join(cells))}</title>",
        f'<rect x=".5" y=".5" width="{width - 1:g}" height="{height - 1:g}" rx="10" fill="#fff" stroke="#e2e8f0"/>',
    ]
    if title:
        parts.append(_svg_text(MARGIN, 36, title, 'font-size="17" font-weight="600"'))
    for panel, x, y in panels:
        parts.append(f'<g transform="translate({x:g} {y:g})">')
        parts.append(_svg_text(MARGIN, 30, f"{panel.name} cell", 'font-size="14" font-weight="600"'))
        parts.extend(_svg_wire(wire) for wire in panel.wires)
        parts.extend(_svg_box(box) for box in panel.boxes)
        parts.append("</g>")
    for name, x in legend:
        parts.append(_svg_pill(x, height - 32, 20, 12, TINTS[name], FAMILIES[name]))
        parts.append(_svg_text(x + 27, height - 22, name, 'font-size="12"'))
    return "\n".join([*parts, "</svg>", ""])


def _svg_wire(wire: Wire) -> str:
    (x, y), (end_x, end_y) = wire.start, wire.end
    style = f'fill="none" stroke="{wire.colour}" stroke-width="1.8"'
    if not wire.radius:
        return f'<path d="M{x:g} {y:g}L{end_x:g} {end_y:g}" {style}/>'
    turn = x + wire.radius
    # The wider white line below cuts a small gap into the wires that this one crosses.
    return (
        f'<path d="M{turn + CLEAR:g} {end_y:g}H{end_x:g}" stroke="#fff" stroke-width="7"/>'
        f'<path d="M{x:g} {y:g}Q{x:g} {end_y:g} {turn:g} {end_y:g}H{end_x:g}" {style}/>'
    )


def _svg_box(box: Box) -> str:
    x, y = box.middle
    sub = f'<tspan dy="4" font-size="10">{escape(box.sub)}</tspan>' if box.sub else ""
    style = f'text-anchor="middle" font-size="{15 if sub else 12}"'
    text = _svg_text(x, y + 4.2, box.label, style, sub)
    hint = f"<title>{escape(box.hint)}</title>" if box.hint else ""
    return f"<g>{hint}{_svg_pill(box.x, box.y, box.width, box.height, *box.colours)}{text}</g>"


def _svg_pill(x: float, y: float, width: float, height: float, fill: str, line: str) -> str:
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{min(width, height) / 2:g}" '
        f'fill="{fill}" stroke="{line}" stroke-width="1.4"/>'
    )


def _svg_text(x: float, y: float, text: str, style: str, more: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" fill="{INK}" {style}>{escape(text)}{more}</text>'
