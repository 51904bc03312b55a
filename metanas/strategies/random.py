"""An architecture drawn uniformly for each task, with the meta-learned weights: the control of the search itself."""

import torch

from metanas.params import spread
from metanas.problem import Choice, Problem
from metanas.spaces.genotype import random_genotype


class Random:
    """One uniform draw a task; implements `Strategy`. The support set is not looked at."""

    def __call__(self, problem: Problem, rng: torch.Generator) -> Choice:
        """See `Strategy`."""
        genotypes = tuple(random_genotype(problem.space, rng) for _ in range(problem.tasks))
        return Choice(genotypes, spread(problem.start, problem.tasks))
