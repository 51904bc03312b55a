"""GDAS: one sampled operation on each edge, bilevel at first order (Dong & Yang 2019, arXiv 1910.04465).

Deviation: the reduction cell is searched too, as in the paper's baseline without the fixed reduction cell (GDAS, not
GDAS-FRC). Genotypes are decoded as in DARTS.
"""

from torch import nn

from metanas.optim import Adam, Sgd
from metanas.relax.gumbel_argmax import GumbelArgmax
from metanas.search.bilevel import Bilevel
from metanas.search.first_order import FirstOrder
from metanas.spaces.space import SearchSpace


def gdas(net: nn.Module, space: SearchSpace, sgd: Sgd, adam: Adam) -> Bilevel:
    """Algorithm 1; the temperature falls over the epochs."""
    del space
    return Bilevel(net, GumbelArgmax(), FirstOrder(), sgd, adam)
