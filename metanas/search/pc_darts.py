"""PC-DARTS: DARTS on a share of the channels, with weighted edges (Xu et al. 2020, arXiv 1907.05737).

What the paper adds to DARTS is a property of the cell: partial channels and edge normalisation (`space.partial`), so
every method can be combined with them. Over such a space this is first-order DARTS whose logits, those of the edges
among them, rest for the first epochs (`search.warmup`, 15 of 50 in section 4.1).
"""

from torch import nn

from metanas.optim import Adam, Sgd
from metanas.relax.softmax import Softmax
from metanas.search.bilevel import Bilevel
from metanas.search.first_order import FirstOrder
from metanas.spaces.space import SearchSpace


def pc_darts(net: nn.Module, space: SearchSpace, sgd: Sgd, adam: Adam) -> Bilevel:
    """First-order DARTS; operations of an edge, and edges of a node, each under a softmax."""
    del space
    return Bilevel(net, Softmax(), FirstOrder(), sgd, adam)
