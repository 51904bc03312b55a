"""What a search may know: support sets, and no query set, so that a leak cannot be written down."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from metanas.objective import Classification
from metanas.params import MetaParams
from metanas.relax.fixed import Fixed
from metanas.spaces.space import Genotype, SearchSpace
from metanas.viewing import Viewing
from tasks.episode import Batch, TaskSpec


@dataclass(frozen=True)
class Problem:
    """Few-shot tasks to find architectures for; several independent ones are solved at once."""

    space: SearchSpace
    spec: TaskSpec
    net: nn.Module
    """The supernet's skeleton."""
    support: Batch
    """Labelled images, stacked `[tasks, n, ...]`."""
    start: MetaParams
    """The meta-learned start, shared by all tasks."""
    viewing: Viewing = Viewing()

    @property
    def tasks(self) -> int:
        """How many tasks there are."""
        return len(self.support.y)


class Choice(NamedTuple):
    """An architecture for each task, and the supernet weights that its child inherits."""

    genotypes: tuple[Genotype, ...]
    params: MetaParams
    """Weights and logits of the supernet, `[tasks, ...]`."""


class Child(NamedTuple):
    """A task's own network, ready to predict."""

    genotype: Genotype
    net: nn.Module
    """The child's skeleton."""
    params: MetaParams
    """Its weights; no logits."""


def children(problem: Problem, choice: Choice) -> list[Child]:
    """The decoded networks: inheriting weights is picking the supernet's entries by name."""
    found = []
    for task, genotype in enumerate(choice.genotypes):
        net = problem.space.child(genotype, problem.spec)
        weights = {name: choice.params.weights[name][task] for name, _ in net.named_parameters()}
        found.append(Child(genotype, net, MetaParams(weights, {})))
    return found


def as_decoded(problem: Problem, choice: Choice) -> Classification:
    """The supernet with each task's gates fixed to its genotype: the children of all tasks in one call.

    At a one-hot gate the supernet equals the child, so training and scoring this is training and scoring the children.
    """
    gates = [problem.space.encode(genotype) for genotype in choice.genotypes]
    device = problem.support.x.device
    given = Fixed({kind: torch.stack([g[kind] for g in gates]).to(device) for kind in gates[0]})
    return Classification(problem.net, given, viewing=problem.viewing)
