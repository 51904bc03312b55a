"""DrNAS: gates from a learned Dirichlet distribution, anchored to the uniform one (Chen et al. 2021, arXiv 2006.10355).

Deviations: one stage on all channels, the paper's variant without progressive learning; `none`
is an option where the space has it.
"""

import torch
from torch import Tensor, nn

from metanas.optim import Adam, Sgd
from metanas.params import Params
from metanas.relax.dirichlet import Dirichlet, concentration
from metanas.search.bilevel import Bilevel
from metanas.search.first_order import FirstOrder
from metanas.spaces.space import SearchSpace


def drnas(net: nn.Module, space: SearchSpace, sgd: Sgd, adam: Adam) -> Bilevel:
    """The expected validation loss plus the distance to the anchor, by pathwise gradients."""
    del space
    return Bilevel(net, Dirichlet(), FirstOrder(), sgd, adam, anchor)


def anchor(arch: Params) -> Tensor:
    """Mean over the edges of KL(Dirichlet(elu(logits) + 1) || Dirichlet(1, .., 1)) in nats, shape []."""
    found = []
    for logits in arch.values():
        c = concentration(logits)
        total = c.sum(-1)
        # the logarithms of the two normalisers, and the mean of (c - 1) log gate
        distance = torch.lgamma(total) - torch.lgamma(c).sum(-1) - torch.lgamma(torch.full_like(total, c.shape[-1]))
        found.append(distance + ((c - 1) * (torch.digamma(c) - torch.digamma(total)[..., None])).sum(-1))
    return torch.cat(found).mean()
