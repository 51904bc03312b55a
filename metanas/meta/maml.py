"""MAML: differentiate the query loss through the inner loop (Finn et al. 2017, arXiv 1703.03400, algorithm 1).

`Maml(Inner(first_order=False))` is MAML, `Maml(Inner(first_order=True))` FOMAML, and with `lr_arch > 0` both are T-NAS.
At a start with learned rates it is Meta-SGD, and the rates get their gradient like all else (`metanas.meta.rates`).
"""

from dataclasses import dataclass

from torch import Tensor

from metanas.meta.adapt import Inner, adapt, path
from metanas.meta.gradient import Verdict
from metanas.meta.gradient_of import filled, grad
from metanas.objective import LossFn
from metanas.params import MetaParams, detach, like, spread
from tasks.episode import Episode


@dataclass(frozen=True)
class Maml:
    """d/d start of the query loss after adaptation; implements `MetaGradient`.

    Exactly `inner.steps` passes over the support set and one over the query set, or one after each step.
    """

    inner: Inner
    step_weights: tuple[float, ...] = ()
    """Of the query losses after each inner step (`metanas.meta.multi_step`); empty takes the last loss alone. What is
    reported is the last loss."""

    def __call__(self, loss: LossFn, start: MetaParams, episodes: Episode) -> Verdict:
        """See `MetaGradient`."""
        start = detach(start, requires_grad=True)
        each = spread(start, len(episodes.support.y))
        if self.step_weights:
            losses = [loss(params, episodes.query) for params in path(loss, each, episodes.support, self.inner)]
            total = sum(w * value.sum() for w, value in zip(self.step_weights, losses, strict=True))
            query_loss = losses[-1]
        else:
            query_loss = loss(adapt(loss, each, episodes.support, self.inner), episodes.query)
            total = query_loss.sum()
        assert isinstance(total, Tensor)
        return Verdict(like(start, filled(grad(total, start), start)), query_loss.detach())
