"""Adapt weights and logits to the task by gradient descent, then decode: T-NAS's search of a task."""

from dataclasses import dataclass, replace

import torch

from metanas.meta.adapt import Inner
from metanas.meta.adapted import adapted
from metanas.objective import Classification, LossFn, Mean
from metanas.params import of_task, spread
from metanas.problem import Choice, Problem
from metanas.relax.relaxation import Relaxation


@dataclass(frozen=True)
class Gradient:
    """The inner loop of meta-training, run on a new task; implements `Strategy`.

    Lian et al. 2020 (OpenReview r1eowANFvr), section 3.3. Deviation: the adapted weights are kept and inherited by the
    decoded child, where T-NAS trains every decoded cell from scratch. With a temperature that falls it is MetaNAS's
    adaptation (Elsken et al. 2020, arXiv 1911.11090, section 3.3), which needs no training after decoding.
    """

    relaxation: Relaxation
    inner: Inner
    temperature: float
    """Handed to the relaxation."""
    samples: int = 0
    """Draws of the gates' noise, the same for all tasks and steps, whose mean loss is descended: the expectation under
    a posterior (`metanas.meta.variational`). 0 descends the loss of the noiseless gates."""
    temperature_first: float | None = None
    """In the first step, from which it falls; see `Classification`."""

    def __call__(self, problem: Problem, rng: torch.Generator) -> Choice:
        """See `Strategy`."""
        loss = self._expected(problem, rng) if self.samples else self._objective(problem)
        params = adapted(loss, spread(problem.start, problem.tasks), problem.support, self.inner)
        genotypes = tuple(problem.space.decode(of_task(params, task).arch) for task in range(problem.tasks))
        return Choice(genotypes, params)

    def objective(self, problem: Problem, choice: Choice) -> Classification:
        """See `Strategy`; the gates are functions of the adapted logits, without noise."""
        del choice
        return self._objective(problem)

    def _expected(self, problem: Problem, rng: torch.Generator) -> LossFn:
        plain = self._objective(problem)
        draws = [self.relaxation.draw(problem.start.arch, rng) for _ in range(self.samples)]
        return Mean([replace(plain, noise=noise) for noise in draws])

    def _objective(self, problem: Problem) -> Classification:
        return Classification(
            problem.net,
            self.relaxation,
            self.temperature,
            temperature_first=self.temperature_first,
            viewing=problem.viewing,
        )
