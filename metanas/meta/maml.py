"""MAML: differentiate the query loss through the inner loop (Finn et al. 2017, arXiv 1703.03400, algorithm 1).

`Maml(Inner(first_order=False))` is MAML, `Maml(Inner(first_order=True))` FOMAML, and with `lr_arch > 0` both are T-NAS.
At a start with learned rates it is Meta-SGD, and the rates get their gradient like all else (`metanas.meta.rates`).
"""

from dataclasses import dataclass

from metanas.meta.adapt import Inner, adapt
from metanas.meta.gradient import Verdict
from metanas.meta.gradient_of import filled, grad
from metanas.objective import LossFn
from metanas.params import MetaParams, detach, like, spread
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
        gradient = filled(grad(query_loss.sum(), start), start)
        return Verdict(like(start, gradient), query_loss.detach())
