"""The same cell for every task: the meta-learned logits decoded as they are, the control of task adaptation."""

import torch

from metanas.params import spread
from metanas.problem import Choice, Problem


class Prior:
    """The architecture that the start prefers; implements `Strategy`. The support set is not looked at."""

    def __call__(self, problem: Problem, rng: torch.Generator) -> Choice:
        """See `Strategy`."""
        del rng
        genotype = problem.space.decode(problem.start.arch)
        return Choice((genotype,) * problem.tasks, spread(problem.start, problem.tasks))
