"""The layout of a drawn cell: a staircase of states, in which no two labels can overlap.

Every intermediate state has its own column, and every edge its own lane (a row). A wire leaves its source
downwards, turns into its lane, passes the label of its operation and ends in its target; all states go to the
output on the right. Wires therefore cross at right angles only, whatever the genotype. `metanas.spaces.draw`
turns a panel into a picture.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from metanas.errors import GenotypeError
from metanas.spaces.space import CellEdge, Wiring

Wirings = Wiring | Mapping[str, Wiring]
"""Of all cells, or of each kind of cell."""

MARGIN = 26.0
"""Free space around a panel, and where its text begins."""

CLEAR = 5.0
"""Space between the corner of a wire and the gap that it cuts into the wires which it crosses."""

INK = "#0f172a"
"""The colour of text."""

TRUNK, PALE = "#94a3b8", "#cbd5e1"
"""Colours of the wires that belong to no operation: out of a state, and into the output."""

FAMILIES = {
    "separable convolution": "#2563eb",
    "convolution": "#0e7490",
    "dilated convolution": "#7c3aed",
    "pooling": "#c2410c",
    "skip connection": "#15803d",
    "no connection": "#64748b",
    "other operation": "#be185d",
}
"""Line colour of each family of operations."""

TINTS = {
    "separable convolution": "#e8effd",
    "convolution": "#e3f3f8",
    "dilated convolution": "#f1eafd",
    "pooling": "#fdeee3",
    "skip connection": "#e5f5ea",
    "no connection": "#f1f5f9",
    "other operation": "#fce9f2",
}
"""Fill colour of each family of operations."""

_PREFIXES = {
    "sep_conv": "separable convolution",
    "nor_conv": "convolution",
    "conv_": "convolution",
    "dil_conv": "dilated convolution",
    "max_pool": "pooling",
    "avg_pool": "pooling",
    "skip": "skip connection",
    "none": "no connection",
}
_LANE, _STATE, _PILL, _PILL_HEIGHT, _CORNER = 35.0, 30.0, 98.0, 24.0, 11.0
_TOP, _GAP, _TURN = 48.0, 14.0, 24.0
_LONGEST_LABEL = 13
_WIDEST, _TITLE, _LEGEND, _SWATCH, _LETTER = 1150.0, 34.0, 40.0, 51.0, 6.4


class Box(NamedTuple):
    """A rounded rectangle with a label: an operation (it has a family), a state, or the output."""

    x: float
    y: float
    width: float
    height: float
    label: str
    sub: str = ""
    family: str = ""
    hint: str = ""

    @property
    def middle(self) -> tuple[float, float]:
        """The centre point."""
        return self.x + self.width / 2, self.y + self.height / 2

    @property
    def colours(self) -> tuple[str, str]:
        """Fill and line."""
        return (TINTS[self.family], FAMILIES[self.family]) if self.family else ("#f8fafc", "#475569")


class Wire(NamedTuple):
    """A line from `start` to `end`; one that turns goes down first and rounds the corner below its start."""

    start: tuple[float, float]
    end: tuple[float, float]
    colour: str
    radius: float = 0.0


class Panel(NamedTuple):
    """One cell, laid out from its own origin."""

    name: str
    width: float
    height: float
    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]


class Page(NamedTuple):
    """All cells of a picture: panels with their places, and a legend of families with their left ends."""

    width: float
    height: float
    panels: tuple[tuple[Panel, float, float], ...]
    legend: tuple[tuple[str, float], ...]


def lay_out(name: str, edges: Sequence[CellEdge], wiring: Wiring) -> Panel:
    """Place one cell.

    Raises:
        GenotypeError: an edge that does not lead from an earlier state to an intermediate one.
    """
    _check(name, edges, wiring)
    inputs, end = wiring.inputs, wiring.inputs + wiring.nodes
    states = [Box(MARGIN + 64 * i, _TOP, 46, _STATE, "c", f"k\N{MINUS SIGN}{inputs - i}") for i in range(inputs)]
    reach = [0.0] * end  # how far down the trunk of each state goes
    pills: list[Box] = []
    branches: list[Wire] = []
    top = _TOP + _STATE + _GAP
    for target in range(inputs, end):
        incoming = sorted(edge for edge in edges if edge.target == target)
        left = states[-1].middle[0] + _TURN
        state = Box(left + _PILL + 18, top, _STATE, _LANE * max(1, len(incoming)) - 6, _number(target, wiring))
        for lane, (source, _, op) in enumerate(incoming):
            y = top - 3 + _LANE * (lane + 0.5)
            hint = f"{_title(source, wiring)} \N{RIGHTWARDS ARROW} {_title(target, wiring)}: {op}"
            pills.append(Box(left, y - _PILL_HEIGHT / 2, _PILL, _PILL_HEIGHT, _label(op), "", family(op), hint))
            x, colour = states[source].middle[0], FAMILIES[family(op)]
            reach[source] = max(reach[source], y - _CORNER)
            branches.append(Wire((x, y - _CORNER), (left, y), colour, _CORNER))
            branches.append(Wire((left + _PILL, y), (state.x, y), colour))
        states.append(state)
        top += state.height + _GAP
    outputs = tuple(range(inputs, end)) if wiring.outputs is None else wiring.outputs
    leaving = [states[output] for output in outputs]
    bottom = top - _GAP
    out_top = _TOP if wiring.outputs is None else min(state.y for state in leaving)
    hint = ", ".join(_title(output, wiring) for output in outputs) + (", concatenated" if len(outputs) > 1 else "")
    out = Box(states[-1].x + states[-1].width + 44, out_top, 40, bottom - out_top, "c", "k", "", hint)
    outward = [Wire((s.x + s.width, s.middle[1]), (out.x, s.middle[1]), PALE) for s in leaving]
    trunks = [
        Wire((s.middle[0], s.y + s.height), (s.middle[0], deep), TRUNK)
        for s, deep in zip(states, reach, strict=True)
        if deep
    ]
    boxes = (*states, *pills, out)
    return Panel(name, out.x + out.width + MARGIN, bottom + MARGIN / 2, boxes, (*outward, *trunks, *branches))


def lay_out_page(cells: Mapping[str, Sequence[CellEdge]], wiring: Wirings, title: str) -> Page:
    """Place all cells, side by side when that fits, below the title and above the legend.

    Raises:
        GenotypeError: an edge that does not lead from an earlier state to an intermediate one.
    """
    panels = [
        lay_out(name, edges, wiring if isinstance(wiring, Wiring) else wiring[name]) for name, edges in cells.items()
    ]
    is_row = sum(panel.width for panel in panels) <= _WIDEST
    placed: list[tuple[Panel, float, float]] = []
    x, y = 0.0, _TITLE if title else 0.0
    for panel in panels:
        placed.append((panel, x, y))
        x, y = (x + panel.width, y) if is_row else (x, y + panel.height)
    used = {family(edge.op) for edges in cells.values() for edge in edges}
    legend: list[tuple[str, float]] = []
    right = MARGIN
    for name in [name for name in FAMILIES if name in used]:
        legend.append((name, right))
        right += _SWATCH + _LETTER * len(name)
    width = max([panel_x + panel.width for panel, panel_x, _ in placed] + [right, 2 * MARGIN + 10 * len(title)])
    height = max((panel_y + panel.height for panel, _, panel_y in placed), default=y) + _LEGEND
    return Page(width, height, tuple(placed), tuple(legend))


def family(op: str) -> str:
    """The family of an operation, a key of `FAMILIES`.

    >>> family("dil_conv_5x5")
    'dilated convolution'
    """
    return next((name for prefix, name in _PREFIXES.items() if op.startswith(prefix)), "other operation")


def _label(op: str) -> str:
    """`sep conv 3×3` for `sep_conv_3x3`, cut when it is longer than a label may be."""
    words = [word.replace("x", "\N{MULTIPLICATION SIGN}") if word[:1].isdigit() else word for word in op.split("_")]
    text = {"skip_connect": "skip", "none": "none"}.get(op, " ".join(words))
    return text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _number(node: int, wiring: Wiring) -> str:
    return str(node - wiring.inputs + wiring.first_node)


def _title(state: int, wiring: Wiring) -> str:
    return f"c_{{k-{wiring.inputs - state}}}" if state < wiring.inputs else f"node {_number(state, wiring)}"


def _check(name: str, edges: Sequence[CellEdge], wiring: Wiring) -> None:
    first, last = wiring.inputs, wiring.inputs + wiring.nodes - 1
    for edge in edges:
        if not (0 <= edge.source < edge.target and first <= edge.target <= last):
            raise GenotypeError(
                f"expected edges from an earlier state into one of {first}..{last}, got {edge.source} to "
                f"{edge.target} in the {name} cell; check the wiring and the decoded genotype"
            )
