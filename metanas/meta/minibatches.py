"""Different images in every step of an inner loop."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metanas.objective import LossFn, staged
from metanas.params import MetaParams
from tasks.episode import Batch


@dataclass(frozen=True)
class Minibatches:
    """A loss that sees one part of its images in the first step, another one in the second, and so on in turn.

    A `LossFn` and `Staged`. The images of each class are dealt out one by one, so that parts differ by one at most.
    """

    loss: LossFn
    count: int
    """Into how many parts; 1 or more, and no more than there are images."""
    step: int = 0

    def stage(self, step: int, steps: int) -> "Minibatches":
        """See `Staged`."""
        return replace(self, loss=staged(self.loss, step, steps), step=step)

    def __call__(self, params: MetaParams, batch: Batch) -> Tensor:
        """See `LossFn`; the batch has a leading `tasks` axis."""
        order = batch.y.argsort(dim=1, stable=True)[:, self.step % self.count :: self.count]
        tasks = torch.arange(len(order), device=order.device)[:, None]
        return self.loss(params, Batch(batch.x[tasks, order], batch.y[tasks, order]))
