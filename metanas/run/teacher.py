"""The part of meta-training that every core does: tasks by their numbers in, what they say about the start out."""

from dataclasses import dataclass, field
from functools import partial

from metanas.evaluate.accuracy import accuracies
from metanas.meta.batch import Executor, merge
from metanas.meta.gradient import Verdict
from metanas.meta.portions import Portions
from metanas.meta.ways import narrow, widen
from metanas.objective import Classification
from metanas.params import MetaParams
from metanas.run import build
from metanas.run.non_finite import blaming
from metanas.run.workbench import Workbench
from tasks.episode import Episode, Episodes, Stack
from tasks.mixture import Mixture
from tasks.stream import stream


@dataclass(frozen=True)
class Teacher:
    """Functions of parameters and episode numbers alone, so that any process gives the same answer."""

    bench: Workbench
    execute: Executor
    train: Episodes
    validation: tuple[Episodes, ...]
    """Of each data set of meta-training."""
    portions: Portions = field(default_factory=Portions)
    """Of validation."""

    def verdict(self, start: MetaParams, iteration: int, first: int, last: int) -> Verdict:
        """What training episodes `first` to `last - 1` say about `start` at this outer iteration; losses in order."""
        experiment = self.bench.experiment
        temperature, first_temperature = experiment.temperature(iteration), experiment.temperature_first(iteration)
        # One sample of the gates serves the meta-batch: tasks that take the same options fold into the same calls.
        noise = self.bench.relaxation.draw(start.arch, stream(experiment.seed, "noise", iteration))
        warming = experiment.meta.is_warming(iteration)
        criterion, progress = build.criterion(experiment), iteration / experiment.meta.iterations
        verdicts: list[Verdict] = []
        numbers: list[int] = []
        for stack in self.train.stacks(range(first, last)):
            net = self.bench.net_of(stack.n_way)
            loss = Classification(
                net, self.bench.relaxation, temperature, noise, warming, criterion, temperature_first=first_temperature
            )
            episode = Episode(*(batch.to(self.bench.precision) for batch in stack.episode))
            verdicts.append(widen(self.execute(loss, narrow(start, net), episode, progress), start))
            numbers += stack.numbers
        verdict = merge(verdicts)
        in_order = sorted(range(len(numbers)), key=numbers.__getitem__)
        return verdict._replace(query_loss=verdict.query_loss[in_order])

    def source(self, episode: int) -> str:
        """The data set that training episode number `episode` shows."""
        member = self.train.member_of(episode) if isinstance(self.train, Mixture) else 0
        return self.bench.experiment.data.sources[member]

    def scores(self, start: MetaParams, source: int, first: int, last: int) -> list[float]:
        """Accuracies of the deployed networks on validation episodes `first` to `last - 1` of one data set."""
        found: list[float] = []
        name = self.bench.experiment.data.sources[source]
        for stack in self.validation[source].stacks(range(first, last)):
            for shares in self.portions(len(stack.numbers), partial(self._accuracies, start, name, stack)):
                found += shares
        return found

    def _accuracies(self, start: MetaParams, source: str, stack: Stack, first: int, last: int) -> list[float]:
        part = stack.part(first, last)
        with blaming(part.numbers, f"the validation classes of {source}"):
            problem = self.bench.problem(start, part.episode.support, part.n_way)
            objective, params = self.bench.deploy(problem, part.numbers[0])
            return accuracies(objective, params, part.episode, transductive=True)
