"""The exact second-order architecture gradient: the validation loss after the next weight step, differentiated.

DARTS (Liu et al. 2019, arXiv 1806.09055, equation 6) with xi the present step size of the weights. The weight step is
the one that stochastic gradient descent is about to take, with its momentum and weight decay and without clipping, as
in the authors' code; it is one step of `metanas.meta.adapt`.
"""

from torch import Tensor

from metanas.meta.adapt import Inner, adapt
from metanas.objective import LossFn
from metanas.params import MetaParams, detach
from metanas.search.arch_gradient import ArchVerdict, WeightStep
from metanas.search.searcher import slope
from tasks.episode import Batch


class Unrolled:
    """d L_valid(w - xi (mu b + d L_train / d w + lambda w), logits) / d logits; implements `ArchGradient`."""

    def __call__(self, loss: LossFn, params: MetaParams, train: Batch, valid: Batch, step: WeightStep) -> ArchVerdict:
        """See `ArchGradient`."""
        start = detach(params, requires_grad=True)
        value = loss(ahead(loss, start, train, step), valid)
        return ArchVerdict(slope(value, start.arch), value.detach())


def ahead(loss: LossFn, start: MetaParams, train: Batch, step: WeightStep, *, first_order: bool = False) -> MetaParams:
    """`start` after the weight step; its entries must require gradients.

    The result stays connected to `start` unless `first_order`. Momentum and decay are terms of the loss whose gradient
    they are, so that plain gradient descent takes the step.
    """

    def tilted(params: MetaParams, batch: Batch) -> Tensor:
        value = loss(params, batch)
        for name, weight in params.weights.items():
            value = value + (weight * (step.momentum * step.buffer[name] + 0.5 * step.decay * weight)).sum()
        return value

    return adapt(tilted, start, train, Inner(1, lr_weights=step.lr, lr_arch=0.0, first_order=first_order))
