"""The role of a strategy: from support sets to one architecture for each task."""

from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch

from metanas.meta.adapt import Inner
from metanas.meta.adapted import adapted
from metanas.objective import Classification
from metanas.problem import Choice, Problem, as_decoded


@runtime_checkable
class Strategy(Protocol):
    """Chooses an architecture for each task of a problem, and the weights that its child starts from."""

    def __call__(self, problem: Problem, rng: torch.Generator) -> Choice:
        """The choice; a function of its arguments only."""
        ...

    def objective(self, problem: Problem, choice: Choice) -> Classification:
        """The supernet as the weights of `choice` were adapted in it: what stands before decoding."""
        ...


def tune(problem: Problem, choice: Choice, inner: Inner) -> Choice:
    """The same architectures after further support steps of each child's own weights.

    Weights that a child does not hold stay as they are, and so do the logits. It is an inner loop of its own: learned
    rates of steps begin with that of the first one again, and a pull (`inner.proximal_weights`) is to where it begins.
    """
    still = replace(inner, lr_arch=0.0, kl_arch=0.0)  # gates of children depend on no logits: no pass is spent on them
    return Choice(choice.genotypes, adapted(as_decoded(problem, choice), choice.params, problem.support, still))
