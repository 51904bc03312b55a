"""A loss that is pulled towards a start (Rajeswaran et al. 2019, arXiv 1909.04630, equation 3)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from metanas.objective import LossFn
from metanas.params import MetaParams, leaves
from tasks.episode import Batch


@dataclass(frozen=True)
class Proximal:
    """loss(params) + sum over entries of pull / 2 |params - start|^2, for each task; a `LossFn`.

    The gradient with respect to `start` counts, so a loop of such steps can be differentiated through.
    """

    loss: LossFn
    start: MetaParams
    pulls: Sequence[float]
    """Of every entry, in the order of `leaves`."""

    def __call__(self, params: MetaParams, batch: Batch) -> Tensor:
        """See `LossFn`."""
        value = self.loss(params, batch)
        for now, then, pull in zip(leaves(params), leaves(self.start), self.pulls, strict=True):
            if pull:
                value = value + pull / 2 * (now - then).square().reshape(*value.shape, -1).sum(-1)
        return value
