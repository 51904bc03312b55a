"""What meta-training, evaluation and adaptation all start from: the objects of an experiment, built once."""

from dataclasses import dataclass

import torch
from torch import nn

from metanas.config import Experiment
from metanas.objective import Classification
from metanas.params import MetaParams
from metanas.problem import Problem, as_decoded
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

    def problem(self, start: MetaParams, support: Batch) -> Problem:
        """Tasks to solve from `start`, with support sets stacked `[tasks, n, ...]`."""
        return Problem(self.space, self.spec, self.net, support, start)

    def deploy(self, problem: Problem) -> tuple[Classification, MetaParams]:
        """The network that is handed out for each task, and its weights: the tuned child, or the adapted supernet."""
        adapt = self.experiment.adapt
        found = self.strategy(problem, stream(self.experiment.seed, "unused"))
        if adapt.deploy == "supernet":
            return self.strategy.objective(problem), found.params
        tuned = tune(problem, found, build.inner_of(self.experiment, adapt.child_steps))
        return as_decoded(problem, tuned), tuned.params
