"""The norm of searchable networks: batch statistics, no buffers, and every derivative right.

Fused batch normalisation has a wrong third derivative (pytorch/pytorch#186256), and under `vmap` a wrong second one
(pytorch/functorch#534); a MAML outer loop around a DARTS step needs three. Written from primitives all derivatives are
right, but every pass over the features costs memory traffic. So the fused kernels compute the value and, where nobody
will differentiate it again, the gradient; a gradient that is itself differentiated is built from primitives.
"""

from typing import Any

import torch
from torch import Tensor, nn

DIMS = (0, 2, 3)


class Norm(nn.Module):
    """Batch normalisation with the statistics of the batch at hand (Ioffe & Szegedy 2015, arXiv 1502.03167).

    Deviation from the paper: no running statistics, so a query set is normalised either with itself (*transductive*) or
    with the support set that stands in the first `rows` of the batch (*inductive*).
    """

    def __init__(self, channels: int, *, affine: bool = False, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.scale = nn.Parameter(torch.ones(channels)) if affine else None
        self.shift = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: Tensor, rows: int | None = None) -> Tensor:
        """Features `[n, c, h, w]`, normalised per channel over the first `rows` images (None: all)."""
        if rows is None:
            out: Tensor = _Standardise.apply(x, self.eps)  # type: ignore[no-untyped-call]
        else:
            out = standardise(x, self.eps, rows)
        if self.scale is None or self.shift is None:
            return out
        # flatten: one scale a task and channel when tasks are folded into the channels
        return torch.addcmul(self.shift.flatten()[:, None, None], out, self.scale.flatten()[:, None, None])


def standardise(x: Tensor, eps: float, rows: int | None = None) -> Tensor:
    """Zero mean and unit variance per channel over the first `rows` images, from primitives: the reference."""
    mean = x[:rows].mean(DIMS, keepdim=True)
    centred = x - mean
    return centred * torch.rsqrt((centred[:rows] * centred[:rows]).mean(DIMS, keepdim=True) + eps)


class _Standardise(torch.autograd.Function):
    """`standardise` over the whole batch with fused kernels at first order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> Tensor:
        out, mean, inverse = torch.native_batch_norm(x, None, None, None, None, True, 0.0, eps)
        ctx.save_for_backward(x, mean, inverse)
        ctx.eps = eps
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        x, mean, inverse = ctx.saved_tensors
        if torch.is_grad_enabled():  # create_graph=True: this gradient will itself be differentiated
            out = standardise(x, ctx.eps)
            inverse = torch.rsqrt((x - x.mean(DIMS, keepdim=True)).square().mean(DIMS, keepdim=True) + ctx.eps)
            along = (grad * out).mean(DIMS, keepdim=True)
            return inverse * (grad - grad.mean(DIMS, keepdim=True) - out * along), None
        dx, _, _ = torch.ops.aten.native_batch_norm_backward(
            grad, x, None, None, None, mean, inverse, True, ctx.eps, [True, False, False]
        )
        return dx, None
