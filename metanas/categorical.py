"""What architecture logits say as categorical distributions, one for each edge: p = softmax(logits)."""

import torch
from torch import Tensor


def entropy(logits: Tensor) -> Tensor:
    """-sum p log p in nats, `[..., edges]` for logits `[..., edges, ops]`; from 0 (decided) to log(ops)."""
    return -(torch.softmax(logits, -1) * torch.log_softmax(logits, -1)).sum(-1)


def kl_divergence(posterior: Tensor, prior: Tensor) -> Tensor:
    """KL(q, p) = sum q log(q / p) in nats, `[..., edges]` for logits `[..., edges, ops]` of q and p.

    At least 0, and 0 where both are equal. The sum over edges is that of the joint distributions, whose edges are
    independent.
    """
    # E_q[posterior - prior] with both normalised, in a form whose gradient is exactly zero at the prior: what rests,
    # rests to the bit.
    norms = [torch.logsumexp(logits, -1) for logits in (posterior, prior)]
    q = torch.exp(posterior - norms[0][..., None])
    return (q * (posterior - prior)).sum(-1) - (norms[0] - norms[1])
