"""The norm of searchable networks: batch statistics, no buffers, and every derivative right.

Fused batch normalisation has a wrong third derivative (pytorch/pytorch#186256), and under `vmap` a wrong second one
(pytorch/functorch#534); a MAML outer loop around a DARTS step needs three. Written from primitives all derivatives are
right, but every pass over the features costs memory traffic. So the fused kernels compute the value and the gradient,
and the derivative of the gradient is written from primitives, which autograd differentiates as often as it likes.
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
        if self.scale is None or self.shift is None:
            scale = shift = None
        else:  # flatten: one scale a task and channel when tasks are folded into the channels
            scale, shift = self.scale.flatten(), self.shift.flatten()
        if rows is None:
            out: Tensor = _Normalise.apply(x, scale, shift, self.eps)  # type: ignore[no-untyped-call]
            return out
        out = standardise(x, self.eps, rows)
        return out if scale is None or shift is None else torch.addcmul(_wide(shift), out, _wide(scale))


def standardise(x: Tensor, eps: float, rows: int | None = None) -> Tensor:
    """Zero mean and unit variance per channel over the first `rows` images, from primitives: the reference."""
    mean = x[:rows].mean(DIMS, keepdim=True)
    centred = x - mean
    return centred * torch.rsqrt((centred[:rows] * centred[:rows]).mean(DIMS, keepdim=True) + eps)


def _wide(per_channel: Tensor) -> Tensor:
    """One number a channel, in a shape that multiplies features."""
    return per_channel[:, None, None]


class _Normalise(torch.autograd.Function):
    """`standardise` over the whole batch, then scale and shift where given, with fused kernels at first order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor | None, shift: Tensor | None, eps: float) -> Tensor:
        out, mean, inverse = torch.native_batch_norm(x, scale, shift, None, None, True, 0.0, eps)
        ctx.save_for_backward(x, scale, mean, inverse)
        ctx.eps = eps
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        x, scale, mean, inverse = ctx.saved_tensors
        if not torch.is_grad_enabled():
            needed = [True, scale is not None, scale is not None]
            dx, d_scale, d_shift = torch.ops.aten.native_batch_norm_backward(
                grad, x, scale, None, None, mean, inverse, True, ctx.eps, needed
            )
            return dx, d_scale, d_shift, None
        # create_graph=True: this gradient will itself be differentiated
        if scale is None:
            return _Gradient.apply(grad, x, mean, inverse, ctx.eps), None, None, None  # type: ignore[no-untyped-call]
        out = _Normalise.apply(x, None, None, ctx.eps)  # type: ignore[no-untyped-call]
        dx = _Gradient.apply(grad * _wide(scale), x, mean, inverse, ctx.eps)  # type: ignore[no-untyped-call]
        return dx, (grad * out).sum(DIMS), grad.sum(DIMS), None


class _Gradient(torch.autograd.Function):
    """The gradient of `standardise`, fused, with a derivative of its own from primitives.

    With g the incoming gradient, z the standardised features, s the inverse deviation and m(.) a channel's mean, it is
    s (g - m(g) - z m(g z)), the same symmetric map of g that the derivative with respect to g applies again.
    """

    @staticmethod
    def forward(ctx: Any, grad: Tensor, x: Tensor, mean: Tensor, inverse: Tensor, eps: float) -> Tensor:
        ctx.save_for_backward(grad, x, mean, inverse)
        ctx.eps = eps
        dx: Tensor
        dx, _, _ = torch.ops.aten.native_batch_norm_backward(
            grad, x, None, None, None, mean, inverse, True, eps, [True, False, False]
        )
        return dx

    @staticmethod
    def backward(ctx: Any, along: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        grad, x, mean, inverse = ctx.saved_tensors
        if torch.is_grad_enabled():  # for a third derivative the statistics are functions of x
            centred = x - _mean(x)
            inverse = torch.rsqrt(_mean(centred.square()) + ctx.eps)
        else:
            centred, inverse = x - _wide(mean), _wide(inverse)
        z = centred * inverse
        g, v = grad - _mean(grad), along - _mean(along)
        gz, vz = _mean(g * z), _mean(v * z)
        d_grad = inverse * (v - z * vz)
        dx = -inverse.square() * (vz * g + gz * v + (_mean(g * v) - 3 * gz * vz) * z)
        return d_grad, dx, None, None, None


def _mean(x: Tensor) -> Tensor:
    return x.mean(DIMS, keepdim=True)
