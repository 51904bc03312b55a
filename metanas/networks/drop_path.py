"""Drop path: whole edges of a cell left out at random in training (Larsson et al. 2017, FractalNet, arXiv 1605.07648).

Scheduled, as NASNet trains with it: the probability grows linearly over training (Zoph et al. 2018, arXiv 1707.07012,
appendix A.7). An edge that is an identity is never dropped, so that a cell always passes something on.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class DropPath(NamedTuple):
    """How edges are dropped in one forward pass."""

    prob: float
    """Probability that an edge is left out for an image, 0 to below 1."""
    rng: torch.Generator
    """Its draws are the same whatever the device of the features."""

    def __call__(self, x: Tensor) -> Tensor:
        """Features `[n, C, h, w]` with each image zeroed, or divided by 1 - prob: the expectation is `x`."""
        if not 0 <= self.prob < 1:
            raise ValueError(f"the probability of drop path must be at least 0 and below 1, got {self.prob}")
        if self.prob == 0:
            return x
        keep = torch.rand(x.shape[0], 1, 1, 1, generator=self.rng, device=self.rng.device) >= self.prob
        return x * keep.to(x.device, x.dtype) / (1 - self.prob)


def scheduled(peak: float, progress: float) -> float:
    """The probability when `progress` (0 to 1) of training is done: linear from 0 to `peak`."""
    return peak * progress
