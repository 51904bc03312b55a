"""SNAS: softmax gates with Gumbel noise at a falling temperature, one loss (Xie et al. 2019, arXiv 1812.09926).

Deviations: no resource term, and no edges dropped at random while searching; weights and logits learn from the first
half of the images, the second only judges; the genotype is decoded by the space's own rule (two edges a node, never
`none`), where the paper takes the strongest operation of every edge, `none` included, and keeps all edges; first logits
lie around 0 where the paper's lie around 1, which no softmax can tell apart.
"""

from torch import nn

from metanas.optim import Adam, Sgd
from metanas.relax.softmax import Softmax
from metanas.search.joint import Joint
from metanas.spaces.space import SearchSpace


def snas(net: nn.Module, space: SearchSpace, sgd: Sgd, adam: Adam) -> Joint:
    """Gates softmax((logits + Gumbel noise) / temperature), weights and logits by one gradient."""
    del space
    return Joint(net, Softmax(sample=True), sgd, adam)
