"""First derivatives with respect to a tree of parameters."""

from collections.abc import Sequence

import torch
from torch import Tensor

from metanas.params import MetaParams, leaves


def filled(gradient: Sequence[Tensor | None], params: MetaParams) -> list[Tensor]:
    """`gradient` with zeros in place of None."""
    return [torch.zeros_like(p) if g is None else g for p, g in zip(leaves(params), gradient, strict=True)]


def grad(
    value: Tensor, params: MetaParams, wanted: Sequence[bool] | None = None, *, create_graph: bool = False
) -> list[Tensor | None]:
    """d value / d params in the order of `leaves`; None where `value` does not depend on an entry.

    Entries that are not `wanted` are left out of the backward pass and get None; without it all are wanted.
    """
    tensors = leaves(params)
    if not value.requires_grad and any(t.requires_grad for t in tensors):  # it depends on none of them
        return [None] * len(tensors)
    chosen = [i for i in range(len(tensors)) if wanted is None or wanted[i]]
    found = torch.autograd.grad(value, [tensors[i] for i in chosen], create_graph=create_graph, allow_unused=True)
    gradient: list[Tensor | None] = [None] * len(tensors)
    for i, g in zip(chosen, found, strict=True):
        gradient[i] = g
    return gradient
