"""beta-DARTS: DARTS with a penalty that keeps the logits small and level (Ye et al. 2022, arXiv 2203.01665).

Of the known cures of the skip collapse this is the one built in, because it is one differentiable term: it costs
nothing, needs no stop rule that would depend on a noisy indicator (RobustDARTS), no operation that the decoded cell
lacks (DARTS-), no second search phase (DARTS-PT), and composes with any relaxation and architecture gradient.
Its gradient on an edge is softmax(logits): the operation that leads is pushed down most, so no operation can run away
before the weights of the others are trained.
"""

import torch
from torch import Tensor, nn

from metanas.optim import Adam, Sgd
from metanas.params import Params
from metanas.relax.softmax import Softmax
from metanas.search.bilevel import Bilevel
from metanas.search.first_order import FirstOrder
from metanas.spaces.space import SearchSpace


def beta_darts(net: nn.Module, space: SearchSpace, sgd: Sgd, adam: Adam) -> Bilevel:
    """First-order DARTS plus lambda * `smooth_max`, lambda growing linearly from 0."""
    del space
    return Bilevel(net, Softmax(), FirstOrder(), sgd, adam, smooth_max)


def smooth_max(arch: Params) -> Tensor:
    """Mean over the edges, and pairs of inputs where they have logits, of log sum exp(logits), shape []."""
    return torch.cat([torch.logsumexp(logits, -1).reshape(-1) for logits in arch.values()]).mean()
