"""Gates for pairs of a node's inputs (MetaNAS, Elsken et al. 2020, arXiv 1911.11090, equation 6).

A node i has the pairs (0, 1), (0, 2), ..., (1, 2), ... of its i + 2 earlier states, and sums them with their gates: the
sum over j < k of b_jk (u_j + u_k) is that over j of c_j u_j, with c_j the sum of the gates of the pairs that hold j. So
an edge is computed once, and not at all where its c_j is zero. The gates of a node have an entry of their own beside
those of its cell's operations, so every entry of a space's logits is one choice along its last axis.
"""

from functools import cache
from itertools import combinations

import torch
from torch import Tensor

from metanas.constant import constant
from metanas.params import Params

_INPUTS = "/inputs/"


def pairs(node: int) -> list[tuple[int, int]]:
    """The pairs of states that node number `node` can have as inputs.

    >>> pairs(1)
    [(0, 1), (0, 2), (1, 2)]
    """
    return list(combinations(range(node + 2), 2))


def pairs_name(kind: str, node: int) -> str:
    """The name under which the pairs of a node stand in logits and gates."""
    return f"{kind}{_INPUTS}{node}"


def names_pairs(name: str) -> bool:
    """Whether an entry of logits or gates is one for pairs, and not one for operations."""
    return _INPUTS in name


def shared_out(gates: Params) -> Params:
    """Gates of operations alone, `[*tasks, edges, ops]` by cell kind: those of pairs are multiplied in.

    Gates that hold no pairs are given back as they are.
    """
    if not any(map(names_pairs, gates)):
        return gates
    kinds = [name for name in gates if not names_pairs(name)]
    nodes = (len(gates) - len(kinds)) // len(kinds)
    return {kind: gates[kind] * _shares(kind, nodes, gates)[..., None] for kind in kinds}


def _shares(kind: str, nodes: int, gates: Params) -> Tensor:
    """The c of every edge, `[*tasks, edges]`."""
    found = []
    for node in range(nodes):
        b = gates[pairs_name(kind, node)]
        found.append(b @ constant(_members(node), b.dtype, b.device))
    return torch.cat(found, dim=-1)


@cache
def _members(node: int) -> tuple[tuple[float, ...], ...]:
    """Which inputs a pair holds, `[pairs, inputs]`."""
    return tuple(tuple(float(state in pair) for state in range(node + 2)) for pair in pairs(node))
