"""Parameters as data: weights, architecture logits and what an inner loop remembers of its steps travel together.

A module is only a shape; what it computes with is a `Params` dictionary handed to `torch.func.functional_call`. Because
they form one `MetaParams`, no meta-learning algorithm is written twice.
"""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

Params = dict[str, Tensor]
"""Tensors by name; the names of weights are the supernet's parameter names."""

Metrics = dict[str, float]
"""Named scalars of one step, ready for a tracker."""


class MetaParams(NamedTuple):
    """What meta-learning learns: the weights and the architecture logits, which a task adapts, and how fast it does."""

    weights: Params
    arch: Params
    """Logits by cell kind, each `[edges, ops]`; empty for a network whose architecture is fixed."""
    rates: Params = {}  # trees are never changed in place, so one may serve all
    """Logarithms of learned step sizes under the names of weights and logits (see `metanas.meta.rates`); empty where
    step sizes are constants."""
    squares: Params = {}
    """Moving means of squared gradients that Adam's inner steps carry from task to task, under the names of weights and
    logits (see `metanas.meta.adaptive_descent`); empty where they begin anew with every task, or are none of Adam's."""


def is_head(name: str) -> bool:
    """Whether a weight of that name belongs to the classifier, which every network calls `head`."""
    return name.startswith("head.")


def tree_map(function: Callable[..., Tensor], first: MetaParams, *others: MetaParams) -> MetaParams:
    """`function` applied tensor by tensor; the trees must have the same names."""
    groups = zip(first, *others, strict=True)
    return MetaParams(
        *({k: function(v, *(other[k] for other in rest)) for k, v in group.items()} for group, *rest in groups)
    )


def tree_norm(tree: MetaParams) -> Tensor:
    """Euclidean norm over all entries, shape []."""
    norm: Tensor = torch.linalg.vector_norm(torch.cat([t.reshape(-1) for t in leaves(tree)]))
    return norm


def leaves(tree: MetaParams) -> list[Tensor]:
    """All tensors: the weights, the logits, the rates, the squares, in the order of the dictionaries."""
    return [tensor for group in tree for tensor in group.values()]


def like(tree: MetaParams, tensors: Sequence[Tensor]) -> MetaParams:
    """The inverse of `leaves`: `tensors` under the names of `tree`."""
    if len(tensors) != sum(map(len, tree)):
        raise ValueError(f"expected {sum(map(len, tree))} tensors, got {len(tensors)}")
    given = iter(tensors)
    return MetaParams(*(dict(zip(group, islice(given, len(group)), strict=True)) for group in tree))


def detach(tree: MetaParams, *, requires_grad: bool = False) -> MetaParams:
    """The same values as fresh leaves of the autograd graph."""
    return tree_map(lambda t: t.detach().requires_grad_(requires_grad), tree)


def spread(tree: MetaParams, tasks: int) -> MetaParams:
    """The same parameters for each of `tasks` tasks: every tensor gets a leading axis, without a copy."""
    return tree_map(lambda t: t.expand(tasks, *t.shape), tree)


def of_task(tree: MetaParams, task: int) -> MetaParams:
    """The parameters of one task out of a tree with a leading `tasks` axis."""
    return tree_map(lambda t: t[task], tree)
