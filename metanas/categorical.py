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
    gap = torch.log_softmax(posterior, -1) - torch.log_softmax(prior, -1)
    return (torch.softmax(posterior, -1) * gap).sum(-1)
