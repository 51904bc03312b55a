"""What an architecture gradient is: how the validation loss moves the logits (DARTS, arXiv 1806.09055, equation 6)."""

from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from metanas.objective import LossFn
from metanas.params import MetaParams, Params
from tasks.episode import Batch


class WeightStep(NamedTuple):
    """The step of stochastic gradient descent that the weights are about to take."""

    lr: float
    momentum: float
    decay: float
    buffer: Params
    """The momentum buffer before the step."""


class ArchVerdict(NamedTuple):
    """What a validation batch says about the logits."""

    gradient: Params
    """d validation loss / d logits."""
    loss: Tensor
    """The validation loss in nats, shape []."""


@runtime_checkable
class ArchGradient(Protocol):
    """A function from (loss, parameters, two batches, the next weight step) to a gradient of the logits."""

    def __call__(self, loss: LossFn, params: MetaParams, train: Batch, valid: Batch, step: WeightStep) -> ArchVerdict:
        """The verdict at `params`, which is not changed."""
        ...
