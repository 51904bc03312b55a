"""The part of meta-training that every core does: tasks by their numbers in, what they say about the start out."""

from dataclasses import dataclass

from metanas.evaluate.accuracy import accuracies
from metanas.meta.batch import Executor
from metanas.meta.gradient import Verdict
from metanas.objective import Classification
from metanas.params import MetaParams
from metanas.relax.relaxation import gumbel
from metanas.run.workbench import Workbench
from tasks.episode import Episodes, stack
from tasks.stream import stream


@dataclass(frozen=True)
class Teacher:
    """Functions of parameters and episode numbers alone, so that any process gives the same answer."""

    bench: Workbench
    execute: Executor
    train: Episodes
    validation: Episodes

    def verdict(self, start: MetaParams, iteration: int, first: int, last: int) -> Verdict:
        """What training episodes `first` to `last - 1` say about `start` at this outer iteration."""
        experiment = self.bench.experiment
        temperature = experiment.relax.temperature(iteration / experiment.meta.iterations)
        # One sample of the gates serves the meta-batch: tasks that take the same options fold into the same calls.
        noise = gumbel(start.arch, stream(experiment.seed, "noise", iteration))
        loss = Classification(self.bench.net, self.bench.relaxation, temperature, noise)
        return self.execute(loss, start, stack([self.train[i] for i in range(first, last)]))

    def scores(self, start: MetaParams, first: int, last: int) -> list[float]:
        """Accuracies of the deployed networks on validation episodes `first` to `last - 1`."""
        episodes = stack([self.validation[i] for i in range(first, last)])
        objective, params = self.bench.deploy(self.bench.problem(start, episodes.support))
        return accuracies(objective, params, episodes, transductive=True)
