"""The published second-order architecture gradient: the product with the Hessian as a finite difference.

DARTS (Liu et al. 2019, arXiv 1806.09055, equations 7 and 8): two more first-order passes instead of a second
derivative, with weights moved by epsilon v, epsilon = 0.01 / ||v||; v is the validation gradient after the weight step.
"""

from dataclasses import dataclass

import torch

from metanas.objective import LossFn
from metanas.params import MetaParams, Params, detach, tree_norm
from metanas.search.arch_gradient import ArchVerdict, WeightStep
from metanas.search.first_order import FirstOrder
from metanas.search.searcher import slope
from metanas.search.unrolled import ahead
from tasks.episode import Batch


@dataclass(frozen=True)
class FiniteDifference:
    """d L_valid / d logits - xi (g(w + e v) - g(w - e v)) / 2e, g = d L_train / d logits; implements `ArchGradient`."""

    radius: float = 0.01
    """Length of the move of all weights together. The paper's value crosses kinks of ReLU and pooling where batches
    are small; `Unrolled` has no such error."""

    def __call__(self, loss: LossFn, params: MetaParams, train: Batch, valid: Batch, step: WeightStep) -> ArchVerdict:
        """See `ArchGradient`."""
        moved = detach(
            ahead(loss, detach(params, requires_grad=True), train, step, first_order=True), requires_grad=True
        )
        value = loss(moved, valid)
        both = slope(value, moved.weights | moved.arch)
        along = {name: both[name] for name in moved.weights}
        gradient = {name: both[name] for name in moved.arch}
        norm = tree_norm(MetaParams(along, {}))
        if norm > 0:  # without a slope there is nothing to correct
            size = self.radius / norm
            plus, minus = (
                FirstOrder()(loss, _shifted(params, along, sign * size), train, train, step).gradient
                for sign in (1, -1)
            )
            gradient = {name: g - step.lr * (plus[name] - minus[name]) / (2 * size) for name, g in gradient.items()}
        return ArchVerdict(gradient, value.detach())


def _shifted(params: MetaParams, along: Params, size: torch.Tensor) -> MetaParams:
    """New parameters with the weights moved; the old ones stay as they are, to the bit."""
    return MetaParams({name: w + size * along[name] for name, w in params.weights.items()}, params.arch)
