"""No architecture at all: every operation on every edge, with equal weights, the control of having decided."""

from dataclasses import dataclass, replace

import torch

from metanas.meta.adapt import Inner
from metanas.objective import Classification
from metanas.problem import Choice, Problem
from metanas.relax.softmax import Softmax
from metanas.strategies.gradient import Gradient


@dataclass(frozen=True)
class Uniform:
    """The supernet under equal logits, which stay equal while its weights adapt; implements `Strategy`.

    Its genotype is what equal logits decode to, by the order of the operations alone: hand out the supernet.
    """

    inner: Inner

    def __call__(self, problem: Problem, rng: torch.Generator) -> Choice:
        """See `Strategy`."""
        equal = {kind: logits.to(problem.support.x) for kind, logits in problem.space.logits().items()}
        return self._search()(replace(problem, start=problem.start._replace(arch=equal)), rng)

    def objective(self, problem: Problem, choice: Choice) -> Classification:
        """See `Strategy`."""
        return self._search().objective(problem, choice)

    def _search(self) -> Gradient:
        return Gradient(Softmax(), replace(self.inner, lr_arch=0.0), temperature=1.0)
