"""What meta-training, evaluation and adaptation all start from: the objects of an experiment, built once."""

from dataclasses import dataclass, replace

import torch
from torch import nn

from metanas.config import Experiment
from metanas.meta.ways import narrow
from metanas.objective import Classification
from metanas.params import MetaParams
from metanas.problem import Choice, Problem, as_decoded
from metanas.relax.relaxation import Relaxation
from metanas.run import build
from metanas.spaces.space import SearchSpace
from metanas.strategies.gradient import Gradient
from metanas.strategies.strategy import tune
from tasks.episode import Batch, TaskSpec
from tasks.stream import stream


@dataclass(frozen=True)
class Workbench:
    """An experiment and the objects that it names, apart from its data."""

    experiment: Experiment
    device: torch.device
    space: SearchSpace
    spec: TaskSpec
    net: nn.Module
    """The supernet's skeleton."""
    relaxation: Relaxation
    strategy: Gradient

    @staticmethod
    def of(experiment: Experiment) -> "Workbench":
        """Builds everything; raises `ConfigError` for what cannot be built."""
        space = build.space(experiment)
        spec = build.spec(experiment)
        return Workbench(
            experiment,
            build.device(experiment),
            space,
            spec,
            space.supernet(spec),
            build.relaxation(experiment, space),
            build.strategy(experiment, space),
        )

    def problem(self, start: MetaParams, support: Batch, n_way: int) -> Problem:
        """Tasks of `n_way` classes to solve from `start`, with support sets stacked `[tasks, n, ...]`."""
        return Problem(self.space, replace(self.spec, n_way=n_way), self.net, support, narrow(start, n_way))

    def solve(self, problem: Problem) -> Choice:
        """What is handed out for each task: the decoded child after further steps, or the adapted supernet."""
        found = self.strategy(problem, stream(self.experiment.seed, "search"))
        adapt = self.experiment.adapt
        return found if adapt.deploy == "supernet" else self.tuned(problem, found, adapt.child_steps)

    def tuned(self, problem: Problem, choice: Choice, steps: int) -> Choice:
        """`choice` after `steps` further support steps of each child."""
        return tune(problem, choice, build.inner_of(self.experiment, steps))

    def deploy(self, problem: Problem) -> tuple[Classification, MetaParams]:
        """The networks of `solve`, all tasks in one call, and their weights."""
        choice = self.solve(problem)
        is_supernet = self.experiment.adapt.deploy == "supernet"
        return self.strategy.objective(problem) if is_supernet else as_decoded(problem, choice), choice.params
