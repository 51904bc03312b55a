"""The architecture strings of NAS-Bench-201 (Dong & Yang 2020, arXiv 2001.00326, section 2.1).

One group for each node after the input, in it one operation for each earlier node:
`|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|skip_connect~2|`.
"""

from collections.abc import Sequence
from itertools import islice

from metanas.errors import GenotypeError

NODES = 3
"""Nodes after the input."""

_SHAPE = "|op~0|+|op~0|op~1|+|op~0|op~1|op~2|"


def write_arch(ops: Sequence[str]) -> str:
    """The string of six operations, in the order 1<-0, 2<-0, 2<-1, 3<-0, 3<-1, 3<-2.

    >>> write_arch(["none", "skip_connect", "none", "none", "avg_pool_3x3", "none"])
    '|none~0|+|skip_connect~0|none~1|+|none~0|avg_pool_3x3~1|none~2|'
    """
    rest = iter(ops)
    groups = [[f"{op}~{source}" for source, op in enumerate(islice(rest, node + 1))] for node in range(NODES)]
    return "+".join(f"|{'|'.join(group)}|" for group in groups)


def read_arch(text: str, primitives: Sequence[str]) -> tuple[str, ...]:
    """The six operations of a string; the inverse of `write_arch`.

    Raises:
        GenotypeError: another format, e.g. that of a space with reduction cells; too few or too many nodes or edges; an
            edge from a node that does not come earlier; an operation that is not one of `primitives`.
    """
    text = text.strip()
    if "reduce" in text or "normal" in text:
        raise GenotypeError(
            f"nas_bench_201 has one kind of cell and no reduction cell, got {_short(text)}; write {_SHAPE}, or choose "
            "a space with normal and reduction cells"
        )
    groups = text.split("+")
    if len(groups) != NODES:
        raise GenotypeError(f"expected {NODES} nodes joined by +, as in {_SHAPE}, got {len(groups)} in {_short(text)}")
    return tuple(op for node, group in enumerate(groups, start=1) for op in _read_node(node, group, primitives))


def _read_node(node: int, group: str, primitives: Sequence[str]) -> list[str]:
    """The operations on the edges into `node`, 1 to 3."""
    if len(group) < 2 or group[0] != "|" or group[-1] != "|":
        raise GenotypeError(f"node {node} must begin and end with |, as in {_SHAPE}, got {_short(group)}")
    ops = []
    for source, edge in enumerate(group[1:-1].split("|")):
        op, tilde, index = edge.partition("~")
        if not tilde or not (index.isascii() and index.isdigit()):
            raise GenotypeError(f"an edge into node {node} is written op~source, got {_short(edge)}; see {_SHAPE}")
        if int(index) >= node:
            raise GenotypeError(
                f"node {node} may only take in the nodes 0..{node - 1}, which come earlier, got {_short(edge)}"
            )
        if index != str(source):
            raise GenotypeError(
                f"the edges into node {node} must come from the nodes 0..{node - 1}, each once and in this order, got "
                f"{_short(edge)} as number {source}; write none~{source} for an edge that carries nothing"
            )
        if op not in primitives:
            raise GenotypeError(f"an edge carries one of {', '.join(primitives)}, got {_short(op)} into node {node}")
        ops.append(op)
    if len(ops) < node:
        raise GenotypeError(
            f"node {node} needs edges from the nodes 0..{node - 1}, got {len(ops)} in {_short(group)}; write "
            f"none~{len(ops)} for an edge that carries nothing"
        )
    return ops


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
