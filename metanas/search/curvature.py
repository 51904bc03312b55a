"""The curvature of the validation loss in the logits: what grows before a search collapses (arXiv 1909.09656).

Zela et al. 2020, RobustDARTS: where the dominant eigenvalue of the Hessian is large, decoding, which is a
long step away from the mixture, loses much accuracy.
"""

import torch

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
    found = torch.autograd.grad(loss(MetaParams(params.weights, arch), batch), tensors, create_graph=True)
    gradient = torch.cat([g.reshape(-1) for g in found])
    vector = torch.randn(len(gradient), generator=rng, dtype=torch.float64).to(gradient)
    estimate = 0.0
    for _ in range(steps):
        vector = vector / torch.linalg.vector_norm(vector)
        product = torch.cat(
            [
                torch.zeros_like(t).reshape(-1) if g is None else g.reshape(-1)
                for g, t in zip(
                    torch.autograd.grad(gradient, tensors, vector, retain_graph=True, allow_unused=True),
                    tensors,
                    strict=True,
                )
            ]
        )
        before, estimate = estimate, float(vector @ product)
        if not product.any() or abs(estimate - before) <= tolerance * abs(estimate):
            break
        vector = product
    return estimate
