"""MAML: differentiate the query loss through the inner loop (Finn et al. 2017, arXiv 1703.03400, algorithm 1).

`Maml(Inner(first_order=False))` is MAML, `Maml(Inner(first_order=True))` FOMAML, and with `lr_arch > 0` both are T-NAS.
"""

from dataclasses import dataclass

import torch

from metanas.meta.adapt import Inner, adapt, grad
from metanas.meta.gradient import Verdict
from metanas.objective import LossFn
from metanas.params import MetaParams, detach, leaves, like, spread
from tasks.episode import Episode


@dataclass(frozen=True)
class Maml:
    """d/d start of the query loss after adaptation; implements `MetaGradient`.

    Exactly `inner.steps` passes over the support set and one over the query set.
    """

    inner: Inner

    def __call__(self, loss: LossFn, start: MetaParams, episodes: Episode) -> Verdict:
        """See `MetaGradient`."""
        start = detach(start, requires_grad=True)
        each = spread(start, len(episodes.support.y))
        query_loss = loss(adapt(loss, each, episodes.support, self.inner), episodes.query)
        gradient = grad(query_loss.sum(), start)
        filled = [torch.zeros_like(p) if g is None else g for p, g in zip(leaves(start), gradient, strict=True)]
        return Verdict(like(start, filled), query_loss.detach())
