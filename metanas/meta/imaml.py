"""Implicit MAML: the gradient of a proximal inner problem's solution (Rajeswaran et al. 2019, arXiv 1909.04630)."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metanas.meta.adapt import Inner, adapt
from metanas.meta.conjugate_gradient import conjugate_gradient
from metanas.meta.gradient import Verdict
from metanas.meta.gradient_of import filled, grad
from metanas.objective import LossFn
from metanas.params import MetaParams, detach, leaves, like, spread
from tasks.episode import Episode


@dataclass(frozen=True)
class Imaml:
    """d/d start of the query loss at argmin_p L_S(p) + sum lambda / 2 |p - start|^2; implements `MetaGradient`.

    With H the Hessian of the support loss at the end of the inner loop, q the gradient of the query loss there, and
    Lambda the pulls on the diagonal, the gradient is Lambda x with (H + Lambda) x = q: lemma 1, where weights and
    logits may be pulled differently here. Entries that rest in the inner loop are part of the start itself: they get
    q - H x. Nothing of the inner loop is stored, so memory does not grow with its steps.

    The gradient is exact where the inner loop has converged. Deviations: conjugate gradients begin at Lambda^-1 q, so
    that `cg_steps=0` is first-order MAML, and a task whose H + Lambda turns out not to be positive definite keeps the
    solution that it has.
    """

    inner: Inner
    cg_steps: int = 5
    """Hessian-vector products of a solution, at most."""

    def __post_init__(self) -> None:
        self.inner.check_implicit()

    def __call__(self, loss: LossFn, start: MetaParams, episodes: Episode) -> Verdict:
        """See `MetaGradient`."""
        each = detach(spread(start, len(episodes.support.y)), requires_grad=True)
        end = detach(adapt(loss, each, episodes.support, replace(self.inner, first_order=True)), requires_grad=True)
        query_loss = loss(end, episodes.query)
        pulls = [
            pull if size else 0.0 for pull, size in zip(self.inner.pulls(start), self.inner.sizes(start), strict=True)
        ]
        q = _flat(grad(query_loss.sum(), end), end)
        pull = torch.cat(
            [q.new_full((math.prod(p.shape),), each) for p, each in zip(leaves(start), pulls, strict=True)]
        )
        all_move = all(each > 0 for each in pulls)
        hessian = _Hessian(loss, end, episodes)
        moves = pull > 0
        x = conjugate_gradient(
            lambda v: torch.where(moves, hessian(v) + pull * v, 0),
            torch.where(moves, q, 0),
            torch.where(moves, q / pull.where(moves, 1), 0),
            self.cg_steps,
        )
        gradient = torch.where(moves, pull * x, q if all_move else q - hessian(x)).sum(0)
        pieces = torch.split(gradient, [p.numel() for p in leaves(start)])
        shaped = [piece.view(p.shape) for piece, p in zip(pieces, leaves(start), strict=True)]
        return Verdict(like(start, shaped), query_loss.detach())


class _Hessian:
    """Products of each task's Hessian of the support loss with vectors `[tasks, d]`."""

    def __init__(self, loss: LossFn, params: MetaParams, episodes: Episode) -> None:
        self.params = params
        value = loss(params, episodes.support).sum()
        found = grad(value, params, create_graph=True)
        self.gradient = [g if g is not None and g.requires_grad else None for g in found]

    def __call__(self, vector: Tensor) -> Tensor:
        tensors = leaves(self.params)
        pieces = torch.split(vector, [t[0].numel() for t in tensors], dim=1)
        pairs = [(g, v.view_as(g)) for g, v in zip(self.gradient, pieces, strict=True) if g is not None]
        if not pairs:  # a support loss that is linear
            return torch.zeros_like(vector)
        gradients, vectors = zip(*pairs, strict=True)
        found = torch.autograd.grad(gradients, tensors, vectors, retain_graph=True, allow_unused=True)
        return _flat(list(found), self.params)


def _flat(gradient: list[Tensor | None], tree: MetaParams) -> Tensor:
    """One row a task; zeros for what does not depend on an entry."""
    return torch.cat([t.reshape(len(t), -1) for t in filled(gradient, tree)], dim=1)
