"""The norm of searchable networks: batch statistics, no buffers, and every derivative right.

Fused batch normalisation has a wrong third derivative (pytorch/pytorch#186256), and under `vmap` a wrong second one
(pytorch/functorch#534); a MAML outer loop around a DARTS step needs three. Written from primitives all derivatives are
right, but every pass over the features costs memory traffic. So the fused kernels compute the value and the gradient,
and the derivative of the gradient is written from primitives, which autograd differentiates as often as it likes.
"""

from typing import Any

import torch
from torch import Tensor, nn

from metanas.spaces.conv import is_vmapped

DIMS = (0, 2, 3)
EPS = 1e-5
"""Added to every variance."""
_FUSED = (torch.float32, torch.float64)
"""Features whose statistics are as precise as they are."""


class Norm(nn.Module):
    """Batch normalisation with the statistics of the batch at hand (Ioffe & Szegedy 2015, arXiv 1502.03167).

    Deviation from the paper: no running statistics, so a query set is normalised either with itself (*transductive*) or
    with the support set that stands in the first `rows` of the batch (*inductive*).
    """

    def __init__(self, channels: int, *, affine: bool = False, eps: float = EPS) -> None:
        super().__init__()
        self.eps = eps
        self.scale = nn.Parameter(torch.ones(channels)) if affine else None
        self.shift = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: Tensor, rows: int | None = None, gate: Tensor | None = None) -> Tensor:
        """Features `[n, c, h, w]`, normalised per channel over the first `rows` images (None: all).

        Args:
            x: features.
            rows: see above.
            gate: a factor of the result, `[]` or one a task: a kernel that scales anyway multiplies by it for nothing.
        """
        # flatten: one scale a task and channel when tasks are folded into the channels
        scale = None if self.scale is None else self.scale.flatten()
        shift = None if self.shift is None else self.shift.flatten()
        if gate is not None:
            # the fused kernels read a scale as if its numbers lay side by side: no view with stride 0
            gate = gate.reshape(-1, 1).repeat(1, x.shape[1] // gate.numel()).flatten()
            scale = gate if scale is None else scale * gate
            shift = None if shift is None else shift * gate
        if rows is None and not is_vmapped(x):
            out: Tensor = _Normalise.apply(x, scale, shift, self.eps)  # type: ignore[no-untyped-call]
            return out
        if rows is not None and not torch.is_grad_enabled() and x.dtype in _FUSED and not is_vmapped(x):
            return _predicted(x, scale, shift, self.eps, rows)
        out = standardise(x, self.eps, rows)
        if scale is None:
            return out
        return out * _wide(scale) if shift is None else torch.addcmul(_wide(shift), out, _wide(scale))


def standardise(x: Tensor, eps: float, rows: int | None = None) -> Tensor:
    """Zero mean and unit variance per channel over the first `rows` images, from primitives: the reference."""
    mean = x[:rows].mean(DIMS, keepdim=True)
    centred = x - mean
    return centred * torch.rsqrt((centred[:rows] * centred[:rows]).mean(DIMS, keepdim=True) + eps)


def _predicted(x: Tensor, scale: Tensor | None, shift: Tensor | None, eps: float, rows: int) -> Tensor:
    """`standardise` over the first `rows` images, scaled and shifted, in one pass over `x`; without derivatives."""
    _, mean, inverse = torch.native_batch_norm(x[:rows], None, None, None, None, True, 0.0, eps)
    factor = inverse if scale is None else inverse * scale
    offset = -mean * factor if shift is None else shift - mean * factor
    return torch.addcmul(_wide(offset), x, _wide(factor))


def _wide(per_channel: Tensor) -> Tensor:
    """One number a channel, in a shape that multiplies features."""
    return per_channel[:, None, None]


def normalise_rows(x: Tensor) -> Tensor:
    """`[rows, length]`, every row with zero mean and unit variance: `standardise` of channels that lie in rows."""
    out: Tensor = _NormaliseRows.apply(x)  # type: ignore[no-untyped-call]
    return out


def _kernel_scale(x: Tensor, scale: Tensor | None) -> Tensor | None:
    """What a kernel scales by: of a scale it takes that statistics are float32 where features are less precise."""
    if scale is None and x.dtype not in _FUSED:
        return x.new_ones(x.shape[1], dtype=torch.float32)
    return scale


class _Normalise(torch.autograd.Function):
    """`standardise` over the whole batch, then scale and shift where given, with fused kernels at first order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor | None, shift: Tensor | None, eps: float) -> Tensor:
        out, mean, inverse = torch.native_batch_norm(x, _kernel_scale(x, scale), shift, None, None, True, 0.0, eps)
        ctx.save_for_backward(x, scale, mean, inverse)
        ctx.eps, ctx.is_shifted = eps, shift is not None
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        x, scale, mean, inverse = ctx.saved_tensors
        if not torch.is_grad_enabled():
            needed = [True, scale is not None, ctx.is_shifted]
            dx, d_scale, d_shift = torch.ops.aten.native_batch_norm_backward(
                grad, x, _kernel_scale(x, scale), None, None, mean, inverse, True, ctx.eps, needed
            )
            return dx, d_scale if needed[1] else None, d_shift if ctx.is_shifted else None, None
        # create_graph=True: this gradient will itself be differentiated
        if scale is None:
            return _Gradient.apply(grad, x, mean, inverse, ctx.eps), None, None, None  # type: ignore[no-untyped-call]
        out = _Normalise.apply(x, None, None, ctx.eps)  # type: ignore[no-untyped-call]
        dx = _Gradient.apply(grad * _wide(scale), x, mean, inverse, ctx.eps)  # type: ignore[no-untyped-call]
        return dx, (grad * out).sum(DIMS), grad.sum(DIMS) if ctx.is_shifted else None, None


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
            grad.to(x.dtype), x, _kernel_scale(x, None), None, None, mean, inverse, True, eps, [True, False, False]
        )
        return dx

    @staticmethod
    def backward(ctx: Any, along: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        grad, x, mean, inverse = ctx.saved_tensors
        return *_twice(along, grad, x, (_wide(mean), _wide(inverse)), DIMS, ctx.eps), None, None, None


class _NormaliseRows(torch.autograd.Function):
    """`normalise_rows`, fused as `_Normalise` is: a layer norm's kernels work on rows, a batch norm's crawl on them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        out, mean, inverse = torch.native_layer_norm(x, x.shape[1:], None, None, EPS)
        ctx.save_for_backward(x, mean, inverse)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        out: Tensor = _RowsGradient.apply(grad, *ctx.saved_tensors)  # type: ignore[no-untyped-call]
        return out


class _RowsGradient(torch.autograd.Function):
    """The gradient of `normalise_rows`; see `_Gradient`."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, x: Tensor, mean: Tensor, inverse: Tensor) -> Tensor:
        ctx.save_for_backward(grad, x, mean, inverse)
        dx: Tensor
        dx, _, _ = torch.ops.aten.native_layer_norm_backward(
            grad.contiguous(), x, x.shape[1:], mean, inverse, None, None, [True, False, False]
        )
        return dx

    @staticmethod
    def backward(ctx: Any, along: Tensor) -> tuple[Tensor, Tensor, None, None]:
        grad, x, mean, inverse = ctx.saved_tensors
        return *_twice(along, grad, x, (mean, inverse), (1,), EPS), None, None


def _twice(
    along: Tensor, grad: Tensor, x: Tensor, statistics: tuple[Tensor, Tensor], dims: tuple[int, ...], eps: float
) -> tuple[Tensor, Tensor]:
    """Derivatives of the gradient with respect to `grad` and to `x`, times `along`: the formula of `_Gradient`."""
    dtypes = grad.dtype, x.dtype
    along, grad, x, mean, inverse = (_precise(t) for t in (along, grad, x, *statistics))
    if torch.is_grad_enabled():  # for a third derivative the statistics are functions of x
        centred = x - _mean(x, dims)
        inverse = torch.rsqrt(_mean(centred.square(), dims) + eps)
    else:
        centred = x - mean
    z = centred * inverse
    g, v = grad - _mean(grad, dims), along - _mean(along, dims)
    gz, vz = _mean(g * z, dims), _mean(v * z, dims)
    d_grad = inverse * (v - z * vz)
    dx = -inverse.square() * (vz * g + gz * v + (_mean(g * v, dims) - 3 * gz * vz) * z)
    return d_grad.to(dtypes[0]), dx.to(dtypes[1])


def _precise(x: Tensor) -> Tensor:
    """At least float32: differences of means do not bear eight bits."""
    return x if x.dtype == torch.float64 else x.float()


def _mean(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    return x.mean(dims, keepdim=True)
