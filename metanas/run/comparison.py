"""All methods on the same episodes: the fair comparison that every evaluation prints."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from metanas.evaluate.accuracy import accuracies, nearest_neighbour
from metanas.evaluate.interval import interval
from metanas.objective import Classification
from metanas.params import MetaParams
from metanas.problem import Choice, Problem, as_decoded, children
from metanas.run.stopwatch import Stopwatch
from metanas.run.workbench import Workbench
from metanas.spaces.cost import Cost, cost
from metanas.spaces.space import Genotype
from metanas.strategies.prior import Prior
from metanas.strategies.random import Random
from metanas.strategies.strategy import Strategy
from tasks.episode import Episode, Episodes, Stack
from tasks.stream import stream

TITLES = {
    "supernet": "adapted supernet, before decoding",
    "child": "decoded child, as inherited",
    "child_tuned": "decoded child, after further support steps",
    "prior_child": "one cell for all tasks, from the prior",
    "random_child": "a random cell for each task, inherited weights",
    "nearest_neighbour": "nearest neighbour on raw pixels",
}
CONTROLS: dict[str, Strategy] = {"prior_child": Prior(), "random_child": Random()}
"""Architectures without a search."""
Summary = dict[str, object]
"""A method's entry of result.json."""


class Score(NamedTuple):
    """How one method did on some episodes."""

    transductive: list[float]
    inductive: list[float]
    genotypes: list[Genotype]
    """The child of each task; empty where the method has none."""
    seconds: list[float]

    def add(self, objective: Classification, params: MetaParams, episodes: Episode) -> None:
        """Scores a network for each episode, in both normalisations."""
        self.transductive.extend(accuracies(objective, params, episodes, transductive=True))
        self.inductive.extend(accuracies(objective, params, episodes, transductive=False))

    def summary(self, title: str, costs: Sequence[Cost]) -> Summary:
        """The entry of result.json; null where a figure has no meaning for the method.

        Args:
            title: for people.
            costs: of the networks that were scored; their means are reported.
        """
        accuracy = interval(self.transductive)
        inductive = interval(self.inductive) if self.inductive else None
        return {
            "title": title,
            "accuracy": accuracy.mean,
            "ci95": accuracy.ci95,
            "accuracy_inductive": inductive.mean if inductive else None,
            "ci95_inductive": inductive.ci95 if inductive else None,
            "params": round(statistics.fmean(c.params for c in costs)) if costs else None,
            "macs": round(statistics.fmean(c.macs for c in costs)) if costs else None,
            "adapt_seconds_median": statistics.median(self.seconds) if self.seconds else None,
            "episodes": len(self.transductive),
            "distinct_genotypes": len(set(self.genotypes)) if self.genotypes else None,
        }


Scores = dict[str, Score]
"""How each method did."""


class Comparison:
    """All methods of one workbench, scored on the same episodes."""

    def __init__(self, bench: Workbench, start: MetaParams) -> None:
        self.bench, self.start = bench, start
        self.scores: Scores = {name: Score([], [], [], []) for name in TITLES}

    def add(self, stack: Stack) -> None:
        """Scores every method on some episodes."""
        bench, adapt = self.bench, self.bench.experiment.adapt
        first, episodes = stack.numbers[0], stack.episode
        problem = bench.problem(self.start, episodes.support, stack.n_way)
        found = bench.strategy(problem, stream(bench.experiment.seed, "search", first))
        self.scores["supernet"].add(bench.strategy.objective(problem), found.params, episodes)
        self._score("child", problem, found, episodes)
        self._score("child_tuned", problem, bench.tuned(problem, found, adapt.child_steps), episodes)
        for name in CONTROLS:
            self._score(name, problem, self._control(name, problem, first), episodes)
        self.scores["nearest_neighbour"].transductive.extend(nearest_neighbour(episodes))

    def extend(self, scores: Scores) -> None:
        """Appends what was found on further episodes."""
        for name, score in scores.items():
            mine = self.scores[name]
            mine.transductive.extend(score.transductive)
            mine.inductive.extend(score.inductive)
            mine.genotypes.extend(score.genotypes)
            mine.seconds.extend(score.seconds)

    def genotypes(self) -> list[Genotype]:
        """Every architecture that was scored, once."""
        return sorted({genotype for score in self.scores.values() for genotype in score.genotypes})

    def summary(self, costs: Mapping[Genotype, Cost]) -> dict[str, Summary]:
        """All methods' entries of result.json; `costs` of all `genotypes`."""
        found = {name: [costs[genotype] for genotype in score.genotypes] for name, score in self.scores.items()}
        found["supernet"] = [cost(self.bench.net, self.bench.spec)]
        return {name: score.summary(TITLES[name], found[name]) for name, score in self.scores.items()}

    def clock(self, stack: Stack) -> None:
        """Times the adaptation to an episode alone, as `adapt` does it: search, decode, inherit, further steps."""
        bench, adapt = self.bench, self.bench.experiment.adapt
        (number,) = stack.numbers
        problem = bench.problem(self.start, stack.episode.support, stack.n_way)
        watch = Stopwatch(bench.device)
        found = bench.strategy(problem, stream(bench.experiment.seed, "search", number))
        self.scores["supernet"].seconds.append(watch.read())
        children(problem, found)
        self.scores["child"].seconds.append(watch.read())
        children(problem, bench.tuned(problem, found, adapt.child_steps))
        self.scores["child_tuned"].seconds.append(watch.read())
        for name in CONTROLS:
            watch = Stopwatch(bench.device)
            children(problem, self._control(name, problem, number))
            self.scores[name].seconds.append(watch.read())

    def _control(self, name: str, problem: Problem, number: int) -> Choice:
        """A control spends on its child the support steps that it does not spend on a search."""
        experiment = self.bench.experiment
        choice = CONTROLS[name](problem, stream(experiment.seed, name, number))
        return self.bench.tuned(problem, choice, experiment.adapt.steps + experiment.adapt.child_steps)

    def _score(self, name: str, problem: Problem, choice: Choice, episodes: Episode) -> None:
        self.scores[name].add(as_decoded(problem, choice), choice.params, episodes)
        self.scores[name].genotypes.extend(choice.genotypes)


@dataclass(frozen=True)
class Examiner:
    """The part of an evaluation that every core does: episode numbers in, scores out."""

    bench: Workbench
    start: MetaParams
    episodes: Episodes

    def scores(self, first: int, last: int) -> Scores:
        """Every method on episodes `first` to `last - 1`."""
        comparison = Comparison(self.bench, self.start)
        for stack in self.episodes.stacks(range(first, last)):
            comparison.add(stack)
        return comparison.scores

    def cost(self, genotype: Genotype) -> Cost:
        """What a child costs; counting takes a tenth of a second."""
        return cost(self.bench.space.child(genotype, self.bench.spec), self.bench.spec)
