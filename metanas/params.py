"""Parameters as data: weights, architecture logits and learned rates travel together.

A module is only a shape; what it computes with is a `Params` dictionary handed to `torch.func.functional_call`. Because
they form one `MetaParams`, no meta-learning algorithm is written twice.
"""

from collections.abc import Callable, Sequence
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


def is_head(name: str) -> bool:
    """Whether a weight of that name belongs to the classifier, which every network calls `head`."""
    return name.startswith("head.")


def tree_map(function: Callable[..., Tensor], first: MetaParams, *others: MetaParams) -> MetaParams:
    """`function` applied tensor by tensor; the trees must have the same names."""
    return MetaParams(
        {k: function(v, *(o.weights[k] for o in others)) for k, v in first.weights.items()},
        {k: function(v, *(o.arch[k] for o in others)) for k, v in first.arch.items()},
        {k: function(v, *(o.rates[k] for o in others)) for k, v in first.rates.items()},
    )


def tree_norm(tree: MetaParams) -> Tensor:
    """Euclidean norm over all entries, shape []."""
    norm: Tensor = torch.linalg.vector_norm(torch.cat([t.reshape(-1) for t in leaves(tree)]))
    return norm


def leaves(tree: MetaParams) -> list[Tensor]:
    """All tensors: the weights, the logits, the rates, in the order of the dictionaries."""
    return [*tree.weights.values(), *tree.arch.values(), *tree.rates.values()]


def like(tree: MetaParams, tensors: Sequence[Tensor]) -> MetaParams:
    """The inverse of `leaves`: `tensors` under the names of `tree`."""
    first = len(tree.weights)
    second = first + len(tree.arch)
    return MetaParams(
        dict(zip(tree.weights, tensors[:first], strict=True)),
        dict(zip(tree.arch, tensors[first:second], strict=True)),
        dict(zip(tree.rates, tensors[second:], strict=True)),
    )


def detach(tree: MetaParams, *, requires_grad: bool = False) -> MetaParams:
    """The same values as fresh leaves of the autograd graph."""
    return tree_map(lambda t: t.detach().requires_grad_(requires_grad), tree)


def spread(tree: MetaParams, tasks: int) -> MetaParams:
    """The same parameters for each of `tasks` tasks: every tensor gets a leading axis, without a copy."""
    return tree_map(lambda t: t.expand(tasks, *t.shape), tree)


def of_task(tree: MetaParams, task: int) -> MetaParams:
    """The parameters of one task out of a tree with a leading `tasks` axis."""
    return tree_map(lambda t: t[task], tree)
