"""DrNAS: gates from a learned Dirichlet distribution, anchored to the uniform one (Chen et al. 2021, arXiv 2006.10355).

The distance to the anchor is either the divergence (`search.penalty_start`, `penalty_end`) or, as in the authors' code
by default, the squared length of the logits (`search.decay_arch`): logits of zero are the uniform distribution.

Deviations: one stage on all channels, the paper's variant without progressive learning, which widens a part of the
channels and keeps the weights (`search.stage_ops` can leave operations out, on fresh weights); `none` is an option
where the space has it.
"""

import torch
from torch import Tensor, nn

from metanas.optim import Adam, Sgd
from metanas.params import Params
from metanas.relax.dirichlet import Dirichlet, concentration, is_there
from metanas.search.bilevel import Bilevel
from metanas.search.first_order import FirstOrder
from metanas.spaces.space import SearchSpace


def drnas(net: nn.Module, space: SearchSpace, sgd: Sgd, adam: Adam) -> Bilevel:
    """The expected validation loss plus the distance to the anchor, by pathwise gradients."""
    del space
    return Bilevel(net, Dirichlet(), FirstOrder(), sgd, adam, anchor)


def anchor(arch: Params) -> Tensor:
    """KL(Dirichlet(elu(logits) + 1) || Dirichlet(1, .., 1)) in nats, summed over the edges, shape [].

    Edges are independent, so this is the divergence of the whole architecture. Operations that are left out of an edge
    are none of its Dirichlet's.
    """
    found = []
    for logits in arch.values():
        there = is_there(logits)
        c = concentration(logits).where(there, 1.0)
        total = (c * there).sum(-1)
        # the logarithms of the two normalisers, and the mean of (c - 1) log gate: nothing where c is 1
        distance = torch.lgamma(total) - torch.lgamma(c).sum(-1) - torch.lgamma(there.sum(-1).to(total))
        found.append(distance + ((c - 1) * (torch.digamma(c) - torch.digamma(total)[..., None])).sum(-1))
    return torch.cat([one.reshape(-1) for one in found]).sum()
