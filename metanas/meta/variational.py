"""Variational meta-learning of architectures: BASE (Shaw et al. 2019, Meta Architecture Search, arXiv 1812.09584).

The start is a prior over weights and architectures that all tasks share, and what a task's inner loop ends at is its
posterior: a categorical distribution for each edge, softmax of the logits, and a point for the weights. Prior and
posteriors maximise the evidence lower bound E_q[log likelihood] - KL(q, prior), where the expectation is taken over
gates of `relax.kind=gumbel_softmax`. A posterior is never stored: it is a few gradient steps from the prior, the
paper's optimisation embedding.

With `inner.kl_arch` and all pulls zero this is MAML.
"""

from dataclasses import dataclass

from metanas.meta.adapt import Inner, adapt
from metanas.meta.gradient import Verdict
from metanas.meta.gradient_of import filled, grad
from metanas.objective import LossFn
from metanas.params import MetaParams, detach, like, spread
from tasks.episode import Episode


@dataclass(frozen=True)
class Variational:
    """d/d prior of the negative evidence bound at the posterior; implements `MetaGradient`.

    The posterior q of a task descends L_S(q) + kl / n_S KL(q, prior) on its support set, and the prior descends
    L_Q(q) + kl / n_Q KL(q, prior), both through q and through the second argument of the divergence: exactly, or with
    the identity as Jacobian of the inner loop under `inner.first_order`, as we read the paper.

    Deviations: the bound that the prior descends is taken on the query set, which the posterior has not seen; the paper
    divides no task. Weights have a point posterior under a Gaussian prior of one constant deviation
    (`inner.proximal_weights`), where the paper learns means and deviations; that pull is not divided by the images of a
    batch, as the divergence is, so that the same number is a narrower prior for more images. One sample of the gates
    serves all inner steps and all tasks of a meta-batch. Learned rates of `inner` get their gradient as in MAML.
    """

    inner: Inner

    def __call__(self, loss: LossFn, start: MetaParams, episodes: Episode) -> Verdict:
        """See `MetaGradient`; the query loss that it reports is the likelihood's part alone."""
        start = detach(start, requires_grad=True)
        prior = spread(start, len(episodes.support.y))
        posterior = adapt(loss, prior, episodes.support, self.inner)
        query_loss = loss(posterior, episodes.query)
        bound = self.inner.towards(prior, loss).pulled(query_loss, posterior, episodes.query.y.shape[-1])
        return Verdict(like(start, filled(grad(bound.sum(), start), start)), query_loss.detach())
