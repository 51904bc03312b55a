"""An architecture drawn uniformly for each task, with the meta-learned weights: the control of the search itself."""

import torch

from metanas.objective import Classification
from metanas.params import spread
from metanas.problem import Choice, Problem, as_decoded
from metanas.spaces.genotype import random_genotype


class Random:
    """One uniform draw a task; implements `Strategy`. The support set is not looked at."""

    def __call__(self, problem: Problem, rng: torch.Generator) -> Choice:
        """See `Strategy`."""
        genotypes = tuple(random_genotype(problem.space, rng) for _ in range(problem.tasks))
        return Choice(genotypes, spread(problem.start, problem.tasks))

    def objective(self, problem: Problem, choice: Choice) -> Classification:
        """See `Strategy`; nothing was adapted, so it is the chosen architectures themselves."""
        return as_decoded(problem, choice)
