"""Linear systems that are known by their products alone (Hestenes & Stiefel 1952)."""

from collections.abc import Callable

import torch
from torch import Tensor


def conjugate_gradient(
    multiply: Callable[[Tensor], Tensor], right: Tensor, guess: Tensor, steps: int, *, tolerance: float = 1e-10
) -> Tensor:
    """x with A x = right, for a symmetric positive definite A of every task.

    A task is done when its residual is below `tolerance` times |right|, or when a direction of no positive curvature
    shows that its A is not positive definite: it keeps what it has (truncated as in Newton-CG, Nocedal & Wright 2006,
    algorithm 7.1).

    Args:
        multiply: A x for x `[tasks, d]`, all tasks in one call.
        right: `[tasks, d]`.
        guess: where to begin, `[tasks, d]`.
        steps: products with A at most, besides one for the first residual; 0 returns `guess`.
        tolerance: share of |right|.
    """
    if not steps:
        return guess
    x, residual = guess, right - multiply(guess)
    direction, size = residual, residual.square().sum(-1, keepdim=True)
    enough = (tolerance * right.norm(dim=-1, keepdim=True)).square()
    active = size > enough
    for _ in range(steps):
        if x.device.type == "cpu" and not active.any():  # a look that would make a GPU wait
            break
        product = multiply(direction)
        curvature = (direction * product).sum(-1, keepdim=True)
        active = active & (curvature > 0)
        length = torch.where(active, size / curvature, 0)
        x, residual = x + length * direction, residual - length * product
        smaller = residual.square().sum(-1, keepdim=True)
        direction = residual + torch.where(active, smaller / size, 0) * direction
        size = smaller
        active = active & (size > enough)
    return x
