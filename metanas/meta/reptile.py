"""Reptile: move the start towards where the tasks end (Nichol et al. 2018, arXiv 1803.02999, algorithm 2)."""

from dataclasses import dataclass, replace

import torch

from metanas.meta.adapt import Inner, adapt
from metanas.meta.gradient import Verdict
from metanas.meta.minibatches import Minibatches
from metanas.objective import LossFn
from metanas.params import MetaParams, detach, leaves, like, spread
from tasks.episode import Batch, Episode


@dataclass(frozen=True)
class Reptile:
    """(start - adapted) / step size, the gradient that section 2 hands to Adam; implements `MetaGradient`.

    A task has no query set here: the inner loop sees all its images, and the query loss is reported after it has.
    `inner.first_order` does not matter, since nothing is differentiated through the loop. Learned rates get zeros, and
    carried squares start - adapted: the outer step takes them to the mean of where the tasks have left them.
    Deviation from the paper: minibatches are dealt out class by class, where the paper draws them.
    """

    inner: Inner
    minibatches: int = 1
    """Into how many the images of a task are dealt, for one step after another; 1 shows all of them to every step."""

    def __call__(self, loss: LossFn, start: MetaParams, episodes: Episode) -> Verdict:
        """See `MetaGradient`."""
        each = detach(spread(start, len(episodes.support.y)), requires_grad=True)
        images = Batch(*(torch.cat(pair, dim=1) for pair in zip(*episodes, strict=True)))
        dealt = Minibatches(loss, self.minibatches) if self.minibatches > 1 else loss
        end = detach(adapt(dealt, each, images, replace(self.inner, first_order=True)))
        with torch.no_grad():
            query_loss = loss(end, episodes.query)
        gradient = [
            (p - q).sum(0) / rate if rate else torch.zeros_like(q[0])
            for p, q, rate in zip(leaves(each), leaves(end), self.inner.sizes(start), strict=True)
        ]
        squares = {name: (each.squares[name] - left).sum(0) for name, left in end.squares.items()}
        return Verdict(detach(like(start, gradient)._replace(squares=squares)), query_loss)
