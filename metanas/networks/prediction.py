"""What a derived network answers, and the loss that trains it."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

AUXILIARY_WEIGHT = 0.4
"""Weight of the auxiliary head's loss (DARTS, arXiv 1806.09055, section 3.2)."""


class Prediction(NamedTuple):
    """Logits for a batch of images."""

    logits: Tensor
    """`[n, n_classes]`."""
    auxiliary: Tensor | None
    """Those of the auxiliary head in training mode, `[n, n_classes]`; None without one."""

    def loss(self, labels: Tensor, auxiliary_weight: float = AUXILIARY_WEIGHT) -> Tensor:
        """Mean cross-entropy in nats, plus the weighted one of the auxiliary head where there is one; shape []."""
        loss = F.cross_entropy(self.logits, labels)
        if self.auxiliary is None:
            return loss
        return loss + auxiliary_weight * F.cross_entropy(self.auxiliary, labels)
