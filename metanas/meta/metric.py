"""Metric learning: features are learned so that a support set defines its classifier, without any inner loop.

With class means and squared distances that is Prototypical Networks (Snell et al. 2017, arXiv 1703.05175), with class
maps and a learned comparison Relation Networks (Sung et al. 2018, arXiv 1711.06025): which one is the head's affair.
"""

from dataclasses import dataclass

from metanas.meta.gradient import Verdict
from metanas.meta.gradient_of import filled, grad
from metanas.objective import Objective
from metanas.params import MetaParams, detach, like, spread
from tasks.episode import Episode


@dataclass(frozen=True)
class Metric:
    """d/d start of the query loss of the classifier that the support set defines; implements `MetaGradient`.

    Snell et al., algorithm 1. Logits of architectures move with the weights, so the cell of a prototypical network can
    be searched for. Deviation from both papers' programs: support and query images are normalised apart, each with
    their own statistics, as in MAML.
    """

    def __call__(self, loss: Objective, start: MetaParams, episodes: Episode) -> Verdict:
        """See `MetaGradient`."""
        start = detach(start, requires_grad=True)
        each = spread(start, len(episodes.support.y))
        query_loss = loss(loss.with_class_means(each, episodes.support), episodes.query)
        return Verdict(like(start, filled(grad(query_loss.sum(), start), start)), query_loss.detach())
