"""How a network is shown the images of a task: what normalises them, and how often each is looked at."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Viewing:
    """What stands beside the images of a batch; without anything a network sees them as they are."""

    reference: Tensor | None = None
    """Images `[m, c, h, w]` whose statistics normalise all others, so that no prediction depends on another image; None
    normalises every batch by its own."""
    background: Tensor | None = None
    """Further images `[m, c, h, w]`, whose features say which directions vary in any task; see
    `Classification.frame`."""
    views: tuple[Callable[[Tensor], Tensor], ...] = ()
    """Further views of every image (`tasks.augment.views`); what comes out for an image is the mean over its views."""

    def shown(self, x: Tensor, rows: int | None) -> tuple[Tensor, int | None]:
        """The images `[*tasks, n, c, h, w]` with all that stands beside them, and how many of the first normalise."""
        parts = [x, *(view(x) for view in self.views)]
        if self.reference is not None:
            parts.insert(0, self.reference.to(x).expand(*x.shape[:-4], *self.reference.shape))
            rows = len(self.reference)
        elif rows is None and self.views:
            rows = x.shape[-4]  # an image counts once among its batch, however often it is looked at
        return torch.cat(parts, dim=-4) if len(parts) > 1 else x, rows

    def merged(self, out: Tensor) -> Tensor:
        """Of what the network says of all that it was `shown`, `[*tasks, m + views * n, d]`, that of the n images."""
        if self.reference is not None:
            out = out[..., len(self.reference) :, :]
        if not self.views:
            return out
        return out.reshape(*out.shape[:-2], 1 + len(self.views), -1, out.shape[-1]).mean(-3)
