"""DARTS: a softmax mixture of all operations, its logits descending the validation loss (Liu et al. 2019, 1806.09055).

The search collapses when it runs for long: skip connections win because they help to train the mixture, not because
the decoded cell needs them (Zela et al. 2020, arXiv 1909.09656). `metanas.search.collapse` says when.
"""

from torch import nn

from metanas.optim import Adam, Sgd
from metanas.relax.softmax import Softmax
from metanas.search.arch_gradient import ArchGradient
from metanas.search.bilevel import Bilevel
from metanas.spaces.space import SearchSpace


def darts(gradient: ArchGradient, net: nn.Module, space: SearchSpace, sgd: Sgd, adam: Adam) -> Bilevel:
    """DARTS with the given architecture gradient: first order, exact second order, or by finite differences."""
    del space
    return Bilevel(net, Softmax(), gradient, sgd, adam)
