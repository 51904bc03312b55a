"""P-DARTS: DARTS in stages of growing depth and fewer operations (Chen et al. 2019, arXiv 1904.12760).

Each stage searches a deeper network, on fresh weights and logits, among the operations that were strongest before
(`search.stage_cells`, `search.stage_ops`; section 3.2). Against skip connections: dropout behind them, strong in later
stages and fading within each (`search.stage_drop`), and at most two in the final normal cell (`search.most_skips`;
section 3.3). Stages, dropout and the limit combine with any method; P-DARTS has first-order DARTS's steps.

Deviation: the paper says that dropout fades, not how. Here its rate stays while the logits rest, and then falls to
e^-0.2 of itself with every epoch.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn

from metanas.optim import Adam, Sgd
from metanas.params import Params
from metanas.relax.softmax import Softmax
from metanas.search.bilevel import Bilevel
from metanas.search.collapse import SKIP
from metanas.search.first_order import FirstOrder
from metanas.search.stage import Kept
from metanas.spaces.space import NEVER, CellEdge, Genotype, SearchSpace

NORMAL = "normal"
"""The kind of cells whose skip connections are limited."""
FADING = 0.2
"""How fast dropout fades, an epoch."""


def p_darts(net: nn.Module, space: SearchSpace, sgd: Sgd, adam: Adam) -> Bilevel:
    """The steps within a stage."""
    del space
    return Bilevel(net, Softmax(), FirstOrder(), sgd, adam)


def faded(drop: float, epoch: int, warmup: int) -> float:
    """The dropout rate in an epoch of a stage, counted from 0, that begins at `drop`.

    >>> [round(faded(0.7, epoch, 10), 3) for epoch in (0, 10, 15)]
    [0.7, 0.7, 0.258]
    """
    return drop * math.exp(-FADING * max(0, epoch - warmup))


def strongest(arch: Params, primitives: Sequence[str], count: int) -> Kept:
    """The `count` operations of every edge with the largest logits, `none` among them; ties go to the earlier one.

    Args:
        arch: logits `[edges, ops]` by cell kind.
        primitives: names of the operations.
        count: how many an edge keeps; at most as many as it has.
    """
    order = {kind: table.sort(dim=-1, descending=True, stable=True).indices.tolist() for kind, table in arch.items()}
    return {kind: [[primitives[op] for op in sorted(row[:count])] for row in rows] for kind, rows in order.items()}


def restrict_skips(space: SearchSpace, arch: Params, most: int) -> Genotype:
    """The decoded architecture with at most `most` skip connections in its normal cell.

    While there are more, the one with the smallest probability is ruled out and the cell decoded again.
    """
    column, arch = space.primitives.index(SKIP), dict(arch)
    while True:
        genotype = space.decode(arch)
        skips = [_row(space, edge) for edge in space.cells(genotype)[NORMAL] if edge.op == SKIP]
        if len(skips) <= most:
            return genotype
        probability = torch.softmax(arch[NORMAL], -1)[:, column].tolist()
        table = arch[NORMAL].clone()
        table[min(skips, key=lambda row: probability[row]), column] = NEVER
        arch[NORMAL] = table


def _row(space: SearchSpace, edge: CellEdge) -> int:
    """The row of the logits that an edge of a cell belongs to: by target, then by source."""
    inputs = space.wiring.inputs
    return sum(range(inputs, edge.target)) + edge.source
