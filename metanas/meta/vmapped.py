"""The loss of several tasks by `torch.func.vmap` of that of one: what folding does by hand, done by torch."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import vmap

from metanas.objective import Objective, Staged
from metanas.params import MetaParams
from tasks.episode import Batch


@dataclass(frozen=True)
class Vmapped:
    """`loss` of every task at once; implements `Objective`, `Staged` and `Recordable`.

    Only the forward pass runs under `vmap`: autograd differentiates what it has computed, to any order. Under it layers
    are made of torch's primitives, since neither fused norms nor our own gradients have a rule for batches.
    """

    loss: Objective
    """Of one task, and blind: `vmap` has no values to look at."""

    def __call__(self, params: MetaParams, batch: Batch) -> Tensor:
        """See `LossFn`."""
        losses: Tensor = vmap(self.loss)(params, batch)
        return losses

    def stage(self, step: int, steps: int) -> "Vmapped":
        """See `Staged`."""
        return Vmapped(self.loss.stage(step, steps)) if isinstance(self.loss, Staged) else self  # type: ignore[arg-type]

    def blind(self, device: torch.device) -> "Vmapped":
        """See `Recordable`; it is so already."""
        del device
        return self

    def with_class_means(self, params: MetaParams, support: Batch) -> MetaParams:
        """See `Objective`."""
        given: MetaParams = vmap(self.loss.with_class_means)(params, support)
        return given
