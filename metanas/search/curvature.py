"""The curvature of the validation loss in the logits: what grows before a search collapses (arXiv 1909.09656).

Zela et al. 2020, RobustDARTS: where the dominant eigenvalue of the Hessian is large, decoding, which is a
long step away from the mixture, loses much accuracy.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from metanas.objective import LossFn
from metanas.params import MetaParams, detach
from tasks.episode import Batch


def dominant_eigenvalue(
    loss: LossFn, params: MetaParams, batch: Batch, rng: torch.Generator, *, steps: int = 30, tolerance: float = 1e-3
) -> float:
    """The eigenvalue of d^2 loss / d logits^2 that is largest in absolute value, with its sign.

    Power iteration with products of the Hessian and a vector (Pearlmutter 1994), the weights held fixed.

    Args:
        loss: without randomness.
        params: where.
        batch: the validation images.
        rng: of the first vector.
        steps: most products.
        tolerance: relative change of the estimate at which iteration stops.
    """
    arch = detach(MetaParams({}, params.arch), requires_grad=True).arch
    tensors = list(arch.values())
    value = loss(MetaParams(params.weights, arch), batch)
    if not value.requires_grad:
        return 0.0
    gradient = _flat(torch.autograd.grad(value, tensors, create_graph=True, allow_unused=True), tensors)
    if not gradient.requires_grad:
        return 0.0
    vector = torch.randn(len(gradient), generator=rng, dtype=torch.float64).to(gradient)
    estimate = 0.0
    for _ in range(steps):
        vector = vector / torch.linalg.vector_norm(vector)
        product = _flat(torch.autograd.grad(gradient, tensors, vector, retain_graph=True, allow_unused=True), tensors)
        before, estimate = estimate, float(vector @ product)
        if not product.any() or abs(estimate - before) <= tolerance * abs(estimate):
            break
        vector = product
    return estimate


def _flat(gradient: Sequence[Tensor | None], tensors: Sequence[Tensor]) -> Tensor:
    """A gradient as one vector, with zeros for what does not take part."""
    parts = [torch.zeros_like(t) if g is None else g for g, t in zip(gradient, tensors, strict=True)]
    return torch.cat([part.reshape(-1) for part in parts])
