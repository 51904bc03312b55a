"""The architecture gradient at the present weights: DARTS with xi = 0 (arXiv 1806.09055, section 2.3)."""

from metanas.objective import LossFn
from metanas.params import MetaParams, detach
from metanas.search.arch_gradient import ArchVerdict, WeightStep
from metanas.search.searcher import slope
from tasks.episode import Batch


class FirstOrder:
    """d validation loss / d logits, the weights held fixed; implements `ArchGradient`."""

    def __call__(self, loss: LossFn, params: MetaParams, train: Batch, valid: Batch, step: WeightStep) -> ArchVerdict:
        """See `ArchGradient`; the training batch is not looked at."""
        del train, step
        return first_order(loss, params, valid)


def first_order(loss: LossFn, params: MetaParams, valid: Batch) -> ArchVerdict:
    """The gradient of `FirstOrder`, of what it depends on alone."""
    arch = detach(MetaParams({}, params.arch), requires_grad=True).arch
    value = loss(MetaParams(params.weights, arch), valid)
    return ArchVerdict(slope(value, arch), value.detach())
