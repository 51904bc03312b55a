"""A loss that is pulled towards a start: by distance, or as a posterior is by its prior."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from metanas.categorical import kl_divergence
from metanas.objective import LossFn
from metanas.params import MetaParams, leaves
from tasks.episode import Batch


@dataclass(frozen=True)
class Proximal:
    """loss(params) + sum over entries of pull / 2 |params - start|^2 + kl / n KL(params, start); a `LossFn`.

    The first pull is that of implicit MAML (Rajeswaran et al. 2019, arXiv 1909.04630, equation 3). With pull =
    1 / (n sigma^2) it is the divergence of two Gaussians that share the deviation sigma, and n the number of images.
    The second one is the divergence of the categorical distributions of all edges (Shaw et al. 2019, arXiv 1812.09584);
    the loss is a mean over the batch's n images, so kl = 1 is Bayes' rule, and more images count for more.

    The gradient with respect to `start` counts, so a loop of such steps can be differentiated through.
    """

    loss: LossFn
    start: MetaParams
    pulls: Sequence[float]
    """Of every entry, in the order of `leaves`."""
    kl_arch: float = 0.0
    """The weight of the divergence of the logits, no unit."""

    def __call__(self, params: MetaParams, batch: Batch) -> Tensor:
        """See `LossFn`."""
        return self.pulled(self.loss(params, batch), params, batch.y.shape[-1])

    def pulled(self, value: Tensor, params: MetaParams, images: int) -> Tensor:
        """`value`, the loss of each task at `params` on a batch of `images`, with the pulls, shape [*tasks]."""
        for now, then, pull in zip(leaves(params), leaves(self.start), self.pulls, strict=True):
            if pull:
                value = value + pull / 2 * (now - then).square().reshape(*value.shape, -1).sum(-1)
        if self.kl_arch:
            for kind, logits in params.arch.items():
                divergence = kl_divergence(logits, self.start.arch[kind])  # of every choice
                value = value + self.kl_arch / images * divergence.reshape(*value.shape, -1).sum(-1)
        return value
