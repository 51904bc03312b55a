"""Cells of NAS-Bench-101: small directed graphs whose vertices carry operations (Ying et al. 2019, arXiv 1902.09635).

Vertex 0 is the input and the last one the output; edges lead from lower to higher vertices. Two cells that differ in
the order of their vertices or in vertices that reach nothing are the same network, and have the same hash.
"""

import ast
import hashlib
import json
from collections.abc import Sequence
from typing import NamedTuple

from metanas.errors import GenotypeError

CONV3, CONV1, POOL3 = "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"
OPS = (CONV3, CONV1, POOL3)
"""The operations of interior vertices, in the order of the published hash."""

INPUT, OUTPUT = "input", "output"
MOST_VERTICES, MOST_EDGES = 7, 9

_CONSTANTS = {"INPUT": INPUT, "OUTPUT": OUTPUT, "CONV3X3": CONV3, "CONV1X1": CONV1, "MAXPOOL3X3": POOL3}

Matrix = tuple[tuple[int, ...], ...]

_EXAMPLE = '{"matrix": [[0, 1, 1], [0, 0, 1], [0, 0, 0]], "ops": ["input", "conv3x3-bn-relu", "output"]}'


class GraphCell(NamedTuple):
    """A cell without dead vertices."""

    matrix: Matrix
    """Upper triangular; `matrix[i][j]` is 1 where vertex i feeds vertex j."""
    ops: tuple[str, ...]
    """One a vertex, `input` first and `output` last."""

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """(source, target) of every edge, by source."""
        return tuple((i, j) for i, row in enumerate(self.matrix) for j, bit in enumerate(row) if bit)

    def sources(self, vertex: int) -> list[int]:
        """The vertices that feed `vertex`."""
        return [i for i, row in enumerate(self.matrix) if row[vertex]]


def graph_cell(matrix: Sequence[Sequence[int]], ops: Sequence[str]) -> GraphCell:
    """The pruned cell of an adjacency matrix and the operations of its vertices.

    Raises:
        GenotypeError: not square, not strictly upper triangular, other numbers than 0 and 1, other operations, no path
            from input to output, or more than 7 vertices or 9 edges after pruning.
    """
    _check(matrix, ops)
    last = len(ops) - 1
    ahead, behind = {0}, {last}
    for vertex in range(1, last + 1):
        if any(matrix[source][vertex] for source in ahead):
            ahead.add(vertex)
    for vertex in range(last - 1, -1, -1):
        if any(matrix[vertex][target] for target in behind):
            behind.add(vertex)
    if last not in ahead:
        raise GenotypeError("the output of the cell cannot be reached from its input; add edges that lead there")
    alive = sorted(ahead & behind)
    cell = GraphCell(tuple(tuple(int(matrix[i][j]) for j in alive) for i in alive), tuple(ops[i] for i in alive))
    if len(alive) > MOST_VERTICES or len(cell.edges) > MOST_EDGES:
        raise GenotypeError(
            f"a cell has at most {MOST_VERTICES} vertices and {MOST_EDGES} edges, got {len(alive)} and "
            f"{len(cell.edges)} without dead vertices; remove edges"
        )
    return cell


def graph_hash(cell: GraphCell) -> str:
    """The published hash, 32 hexadecimal digits, equal for isomorphic cells.

    Every vertex begins with its degrees and operation, and takes in the hashes of its neighbours as many times as there
    are vertices (the paper's appendix; MD5, because the published table is keyed by it).
    """
    n = len(cell.ops)
    labels = [-1, *(OPS.index(op) for op in cell.ops[1:-1]), -2]
    ins = [cell.sources(vertex) for vertex in range(n)]
    outs = [[j for j in range(n) if cell.matrix[vertex][j]] for vertex in range(n)]
    hashes = [_md5(str((len(outs[v]), len(ins[v]), labels[v]))) for v in range(n)]
    for _ in range(n):
        hashes = [
            _md5("|".join(["".join(sorted(hashes[i] for i in group)) for group in (ins[v], outs[v])] + [hashes[v]]))
            for v in range(n)
        ]
    return _md5(str(sorted(hashes)))


def vertex_channels(cell: GraphCell, channels_in: int, channels_out: int) -> list[int]:
    """The output channels of every vertex, in the order of the vertices.

    The vertices that feed the output divide its channels among them, the first ones taking what is left over; every
    other one is as wide as the widest vertex that it feeds.
    """
    n = len(cell.ops)
    channels = [0] * n
    channels[0], channels[-1] = channels_in, channels_out
    if n == 2:
        return channels
    concatenated = [vertex for vertex in cell.sources(n - 1) if vertex]
    share, left = divmod(channels_out, len(concatenated))
    for place, vertex in enumerate(concatenated):
        channels[vertex] = share + (place < left)
    for vertex in range(n - 3, 0, -1):
        if vertex not in concatenated:
            channels[vertex] = max(channels[j] for j in range(vertex + 1, n - 1) if cell.matrix[vertex][j])
    return channels


def read_graph_cell(text: str) -> GraphCell:
    """The cell of a JSON object with `matrix` and `ops`, or of the published `ModelSpec(matrix=..., ops=...)`.

    Raises:
        GenotypeError: it is none; see `graph_cell`.
    """
    spec = _read_model_spec(text) if "ModelSpec" in text else _read_json(text)
    if not isinstance(spec, dict) or set(spec) != {"matrix", "ops"}:
        keys = ", ".join(map(str, spec)) if isinstance(spec, dict) else type(spec).__name__
        raise GenotypeError(f"expected an object with matrix and ops, e.g. {_EXAMPLE}, got {keys or 'nothing'}")
    rows, ops = spec["matrix"], spec["ops"]
    if not (isinstance(rows, list) and all(isinstance(row, list) for row in rows) and isinstance(ops, list)):
        raise GenotypeError(f"expected matrix to be a list of lists and ops a list, e.g. {_EXAMPLE}")
    return graph_cell(rows, ops)


def _read_json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise GenotypeError(f"expected a cell in JSON, e.g. {_EXAMPLE}, got {text[:60]!r}") from error


def _read_model_spec(text: str) -> dict[str | None, object]:
    """The keywords of the call, whose names of operations stand for their texts; nothing is called."""
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if isinstance(call, ast.Call) and not call.args and ast.unparse(call.func).split(".")[-1] == "ModelSpec":
            for keyword in call.keywords:
                keyword.value = _Names().visit(keyword.value)
            return {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise GenotypeError(f"expected ModelSpec(matrix=..., ops=...) of plain lists, e.g. {_EXAMPLE}") from error
    raise GenotypeError(f"expected ModelSpec(matrix=..., ops=...), e.g. {_EXAMPLE}, got {text[:60]!r}")


class _Names(ast.NodeTransformer):
    """The names that the publications give to operations, as texts."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(_CONSTANTS[node.id]) if node.id in _CONSTANTS else node


def write_graph_cell(cell: GraphCell) -> str:
    """The cell in JSON; the inverse of `read_graph_cell`."""
    return json.dumps({"matrix": cell.matrix, "ops": cell.ops})


def _check(matrix: Sequence[Sequence[int]], ops: Sequence[str]) -> None:
    n = len(ops)
    if n < 2 or len(matrix) != n or any(len(row) != n for row in matrix):
        shape = f"{len(matrix)} rows of {', '.join(sorted({str(len(row)) for row in matrix})) or 'no'} entries"
        raise GenotypeError(f"expected a square matrix with a row for each of {n} operations, at least 2, got {shape}")
    for i, row in enumerate(matrix):
        for j, bit in enumerate(row):
            if bit not in (0, 1) or isinstance(bit, float):
                raise GenotypeError(f"the matrix holds 0 and 1, got {bit!r} in row {i}, column {j}")
            if bit and j <= i:
                raise GenotypeError(f"edges lead from lower to higher vertices, got one from {i} to {j}")
    if ops[0] != INPUT or ops[-1] != OUTPUT:
        raise GenotypeError(
            f"the first operation must be {INPUT} and the last {OUTPUT}, got {ops[0]!r} and {ops[-1]!r}"
        )
    for vertex, op in enumerate(ops[1:-1], start=1):
        if op not in OPS:
            raise GenotypeError(f"a vertex carries one of {', '.join(OPS)}, got {op!r} at vertex {vertex}")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
