"""Genotypes in the text of the literature, as DARTS and its descendants print and publish them.

    Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1), ...], normal_concat=range(2, 6),
             reduce=[...], reduce_concat=[2, 3, 4, 5])

A pair names an operation and the state that it reads: 0 and 1 are the cell's inputs, 2.. its nodes. Pairs 2i and 2i + 1
lead into node i + 2. The text is parsed, never run: only literals and `range` have a meaning in it.
"""

import ast
import warnings

from metanas.errors import GenotypeError
from metanas.spaces.cell_genotype import CellGenotype, CellGraph, check_cell
from metanas.spaces.space import CellEdge

CELLS = ("normal", "reduce")
"""The cells as the text calls them, in the order of `CellGenotype`."""

KEYWORDS = ("normal", "normal_concat", "reduce", "reduce_concat")

LONGEST = 20_000
"""Characters; published genotypes have about a thousand."""


def read_genotype(text: str) -> CellGenotype:
    """The cells that `text` describes; a name and `=` may stand before it, as in published files and logs.

    Raises:
        GenotypeError: names the place in the text that cannot be read, or the edge that no cell can have.
    """
    values = _keywords(text)
    cells = [CellGraph(_edges(values, name), _concat(values, f"{name}_concat")) for name in CELLS]
    for name, cell in zip(CELLS, cells, strict=True):
        check_cell(cell, name)
    return CellGenotype(*cells)


def write_genotype(cells: CellGenotype) -> str:
    """The text of `cells` on one line; `read_genotype` reads it back. Raises `GenotypeError` for impossible cells.

    >>> cell = CellGraph((CellEdge(0, 2, "skip_connect"), CellEdge(1, 2, "sep_conv_3x3")), (2,))
    >>> write_genotype(CellGenotype(cell, cell))[:73]
    "Genotype(normal=[('skip_connect', 0), ('sep_conv_3x3', 1)], normal_concat"
    """
    parts = []
    for name, cell in zip(CELLS, cells, strict=True):
        check_cell(cell, name)
        parts += [f"{name}={[(edge.op, edge.source) for edge in cell.edges]}", f"{name}_concat={list(cell.concat)}"]
    return f"Genotype({', '.join(parts)})"


def _keywords(text: str) -> dict[str, ast.expr]:
    """The four arguments by name."""
    call = _parsed(text)
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Genotype"):
        raise GenotypeError(f"expected Genotype({'=[...], '.join(KEYWORDS)}=[...]), got {_short(text)}")
    if call.args:
        raise GenotypeError(f"Genotype(...): expected arguments by name, got {_source(call.args[0])}; write normal=...")
    values: dict[str, ast.expr] = {}
    for keyword in call.keywords:
        name = keyword.arg or "**"
        if name not in KEYWORDS:
            raise GenotypeError(
                f"Genotype(...): expected the arguments {', '.join(KEYWORDS)}, got {name}; leave it out"
            )
        if name in values:
            raise GenotypeError(f"Genotype(...): {name} is given twice; leave one out")
        values[name] = keyword.value
    for name in KEYWORDS:
        if name not in values:
            raise GenotypeError(f"Genotype(...): {name} is missing; add {name}=[...]")
    return values


def _parsed(text: str) -> ast.expr | None:
    """The one expression of `text`, or None where it is something else."""
    if len(text) > LONGEST:
        raise GenotypeError(f"a genotype has at most {LONGEST} characters, got {len(text)}; give the genotype alone")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes in strings that will be refused by name
            body = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error) or "too deep"
        raise GenotypeError(f"expected Genotype(normal=[...], ...), cannot read {_short(text)}: {reason}") from error
    statement = body[0] if len(body) == 1 else None
    return statement.value if isinstance(statement, ast.Expr | ast.Assign) else None


def _edges(values: dict[str, ast.expr], name: str) -> tuple[CellEdge, ...]:
    pairs = _items(values[name], name, "a list of pairs ('operation', state)")
    return tuple(_edge(pair, position, f"{name}[{position}]") for position, pair in enumerate(pairs))


def _edge(pair: ast.expr, position: int, place: str) -> CellEdge:
    match pair:
        case (
            ast.Tuple(elts=[ast.Constant(value=str(op)), source]) | ast.List(elts=[ast.Constant(value=str(op)), source])
        ):
            return CellEdge(_integer(source, place), 2 + position // 2, op)
    raise GenotypeError(f"{place}: expected a pair ('operation', state), got {_source(pair)}")


def _concat(values: dict[str, ast.expr], name: str) -> tuple[int, ...]:
    value = values[name]
    match value:
        case ast.Call(func=ast.Name(id="range"), args=[first, last], keywords=[]):
            begin, end = _integer(first, name), _integer(last, name)
            if end - begin > LONGEST:
                raise GenotypeError(f"{name}: expected nodes of the cell, got {_source(value)}")
            return tuple(range(begin, end))
    nodes = _items(value, name, "a list of nodes or range(2, n)")
    return tuple(_integer(node, f"{name}[{position}]") for position, node in enumerate(nodes))


def _items(value: ast.expr, place: str, expected: str) -> list[ast.expr]:
    if not isinstance(value, ast.List | ast.Tuple):
        raise GenotypeError(f"{place}: expected {expected}, got {_source(value)}")
    return value.elts


def _integer(value: ast.expr, place: str) -> int:
    match value:
        case ast.Constant(value=int(number)) if not isinstance(number, bool):
            return number
    raise GenotypeError(f"{place}: expected the number of a state, 0 or more, got {_source(value)}")


def _source(node: ast.expr) -> str:
    try:
        return _short(ast.unparse(node))
    except RecursionError:
        return "something nested too deep"


def _short(text: str) -> str:
    """`text` as one short line."""
    line = " ".join(text.split())
    return repr(line if len(line) <= 60 else f"{line[:57]}...")
