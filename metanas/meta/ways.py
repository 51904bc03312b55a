"""Tasks of fewer ways than the start has: they use the first rows of the classifier.

Labels are shuffled in every episode, so the rows of the head are exchangeable and fewer of them may be used.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from metanas.meta.gradient import Verdict
from metanas.params import MetaParams, tree_map


def narrow(start: MetaParams, net: nn.Module) -> MetaParams:
    """`start` for a skeleton `net` of the same network with at most as many ways."""
    rows = {name: len(p) for name, p in net.named_parameters()}
    return MetaParams(*({name: t[: rows[name]] if name in rows else t for name, t in group.items()} for group in start))


def widen(verdict: Verdict, start: MetaParams) -> Verdict:
    """The verdict on `start` of tasks that were given the `narrow` one: rows that they did not use get no gradient."""
    return Verdict(tree_map(_filled, verdict.gradient, start), verdict.query_loss)


def _filled(gradient: Tensor, like: Tensor) -> Tensor:
    if gradient.shape == like.shape:
        return gradient
    return F.pad(gradient, (0, 0) * (like.ndim - 1) + (0, len(like) - len(gradient)))
