"""The same cell for every task: the meta-learned logits decoded as they are, the control of task adaptation.

That is how Auto-MAML (Lian et al. 2020, OpenReview r1eowANFvr) meets a new task: only the weights adapt. Deviations of
our configurations in meta-training: one outer step moves weights and logits by the same tasks, where the paper divides
the training classes into halves and takes turns, logits by one half and weights by the other; and, as in our T-NAS, an
exact gradient through one inner step with straight-through gates, where the paper has five at first order with softmax
gates: `inner.first_order=true inner.steps=5 relax.kind=softmax relax.temperature_start=1 relax.temperature_end=1`.
"""

import torch

from metanas.objective import Classification
from metanas.params import spread
from metanas.problem import Choice, Problem, as_decoded


class Prior:
    """The architecture that the start prefers; implements `Strategy`. The support set is not looked at."""

    def __call__(self, problem: Problem, rng: torch.Generator) -> Choice:
        """See `Strategy`."""
        del rng
        genotype = problem.space.decode(problem.start.arch)
        return Choice((genotype,) * problem.tasks, spread(problem.start, problem.tasks))

    def objective(self, problem: Problem, choice: Choice) -> Classification:
        """See `Strategy`; nothing was adapted, so it is the chosen architectures themselves."""
        return as_decoded(problem, choice)
