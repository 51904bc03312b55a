"""All methods on the same episodes: the fair comparison that every evaluation prints."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from metanas.evaluate.accuracy import Network, committee_accuracies, nearest_neighbour, refined_accuracies
from metanas.evaluate.interval import interval
from metanas.meta.portions import Portions
from metanas.objective import Classification
from metanas.params import MetaParams
from metanas.problem import Choice, Problem, as_decoded, children
from metanas.run import build
from metanas.run.committee import drawn_cells
from metanas.run.controls import CONTROLS, RESTING, control, has_a_way
from metanas.run.non_finite import blaming
from metanas.run.stopwatch import Stopwatch
from metanas.run.workbench import Workbench, with_class_means
from metanas.spaces.cost import Cost
from metanas.spaces.space import Genotype
from tasks.episode import Episode, Episodes, Stack

TITLES = {
    "supernet": "adapted supernet, before decoding",
    "child": "decoded child, as inherited",
    "child_tuned": "decoded child, after further support steps",
    "drawn_cells": "mean prediction of cells drawn from the posterior",
    "prior_child": "one cell for all tasks, from the prior",
    "resting_child": "the prior's cell, searched with resting logits",
    "random_child": "a random cell for each task, inherited weights",
    "class_means": "nearest class mean of the deployed features",
    "refined_means": "class means refined by the query images",
    "balanced_means": "class means refined by balanced query images",
    "nearest_neighbour": "nearest neighbour on raw pixels",
}
DEPLOYED = {"child": "child_tuned", "supernet": "supernet"}
"""What `adapt.deploy` hands out -> the method that is it."""
REFINED = {"refined_means": False, "balanced_means": True}
"""Class means that the query images take part in -> whether their classes are known to be equally frequent."""
READ_OUTS = {"class_means", *REFINED}
"""Other classifiers on the network that is handed out."""
Summary = dict[str, object]
"""A method's entry of result.json."""


def architecture(bench: Workbench) -> str:
    """How a task gets its architecture: `searched` (of several, by a strategy), `fixed` (there is one), or `uniform`
    (all at once).
    """
    if not bench.space.decisions:
        return "fixed"
    return "uniform" if bench.experiment.adapt.strategy == "uniform" else "searched"


def titles(bench: Workbench) -> dict[str, str]:
    """The methods that differ from each other on this workbench and are asked for, and their names for people."""
    adapt = bench.experiment.adapt
    left_out: set[str] = set()
    renamed: dict[str, str] = {}
    if adapt.classifier == "means":
        left_out |= {"class_means"}  # it is what all of them do
    if not (bench.has_posteriors and adapt.cells):
        left_out |= {"drawn_cells"}
    if not has_a_way(bench):
        left_out |= {RESTING}
    if architecture(bench) == "fixed":
        left_out |= {"supernet", "child", *CONTROLS}
        how = "after support steps" if adapt.classifier == "trained" else "classes of the support set"
        renamed["child_tuned"] = f"fixed architecture, {how}"
    elif adapt.strategy == "uniform":
        left_out |= {"child", "child_tuned"}
        renamed["supernet"] = "adapted supernet, all operations with equal weights"
    elif adapt.strategy != "gradient":  # the strategy is one of the controls, and its supernet its child
        found = f"{adapt.strategy}_child"
        left_out |= {"supernet", "child", found}
        renamed["child_tuned"] = TITLES[found]
    if wanted := bench.experiment.evaluate.methods:
        left_out |= TITLES.keys() - {*wanted, DEPLOYED[adapt.deploy], "child_tuned"}
    return {name: renamed.get(name, title) for name, title in TITLES.items() if name not in left_out}


class Score(NamedTuple):
    """How one method did on some episodes."""

    transductive: list[float]
    inductive: list[float]
    genotypes: list[Genotype]
    """The child of each task; empty where the method has none."""
    seconds: list[float]
    entropies: list[float]
    """Of each task's posterior over architectures, the mean over edges in nats; empty where there is none."""

    def add(self, networks: Sequence[Network], episodes: Episode) -> None:
        """Scores a network for each episode, or several that predict together, in both normalisations."""
        found = committee_accuracies(networks, episodes, transductive=True)
        self.transductive.extend(found)
        is_same = networks[0][0].viewing.reference is not None  # no image is normalised with others of its task
        self.inductive.extend(found if is_same else committee_accuracies(networks, episodes, transductive=False))

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
            "posterior_entropy": statistics.fmean(self.entropies) if self.entropies else None,
        }

    def minus(self, other: "Score") -> Summary:
        """How far the accuracy is above that of `other` in the same episodes: the interval of paired differences."""
        pairs = zip(self.transductive, other.transductive, strict=True)
        found = interval([mine - theirs for mine, theirs in pairs])
        return {"difference": found.mean, "difference_ci95": found.ci95}


Scores = dict[str, Score]
"""How each method did."""


class Comparison:
    """All methods of one workbench, scored on the same episodes."""

    def __init__(self, bench: Workbench, start: MetaParams) -> None:
        self.bench, self.start = bench, start
        self.titles = titles(bench)
        self.headline = DEPLOYED[bench.experiment.adapt.deploy]
        self.scores: Scores = {name: Score([], [], [], [], []) for name in self.titles}

    def add(self, stack: Stack) -> None:
        """Scores every method on some episodes."""
        first, episodes = stack.numbers[0], stack.episode
        problem = self.bench.problem(self.start, episodes.support, stack.n_way)
        networks: dict[str, Network] = {}
        searched = self.bench.searched(problem, first)
        for name, objective, choice in self._deployable(problem, searched):
            self._score(name, objective, choice, episodes)
            networks[name] = objective, choice.params
            if name == self.headline and self.bench.has_posteriors:
                posteriors = [self.bench.posterior(choice, task) for task in range(problem.tasks)]
                self.scores[name].entropies.extend(posterior.mean_entropy() for posterior in posteriors)
        if "drawn_cells" in self.titles:
            self.scores["drawn_cells"].add(drawn_cells(self.bench, problem, searched, first), episodes)
        for name in self._controls():
            self._score(name, *control(self.bench, name, problem, first), episodes)
        if asked := {name: known for name, known in REFINED.items() if name in self.titles}:
            found = refined_accuracies(*networks[self.headline], episodes, asked.values())
            for name, each in zip(asked, found, strict=True):
                self.scores[name].transductive.extend(each)
        if "nearest_neighbour" in self.titles:
            self.scores["nearest_neighbour"].transductive.extend(nearest_neighbour(episodes))

    def extend(self, scores: Scores) -> None:
        """Appends what was found on further episodes."""
        for name, score in scores.items():
            mine = self.scores[name]
            mine.transductive.extend(score.transductive)
            mine.inductive.extend(score.inductive)
            mine.genotypes.extend(score.genotypes)
            mine.seconds.extend(score.seconds)
            mine.entropies.extend(score.entropies)

    def genotypes(self) -> list[Genotype]:
        """Every architecture that was scored, once."""
        return sorted({genotype for score in self.scores.values() for genotype in score.genotypes})

    def chosen(self) -> list[Genotype]:
        """The architecture of each task, by the strategy; empty where none is chosen."""
        return self.scores["child_tuned"].genotypes if architecture(self.bench) == "searched" else []

    def summary(self, costs: Mapping[Genotype, Cost]) -> dict[str, Summary]:
        """All methods' entries of result.json; `costs` of all `genotypes`."""
        found = {name: [costs[genotype] for genotype in score.genotypes] for name, score in self.scores.items()}
        if "supernet" in found:
            found["supernet"] = [self.bench.cost(self.bench.net_of(self.bench.judged.n_way))]
        for name in READ_OUTS & found.keys():
            found[name] = found[self.headline]
        deployed = self.scores[self.headline]
        return {
            name: score.summary(self.titles[name], found[name]) | score.minus(deployed)
            for name, score in self.scores.items()
        }

    def clock(self, stack: Stack) -> None:
        """Times the adaptation to an episode alone, as `adapt` does it: search, decode, inherit, further steps."""
        (number,) = stack.numbers
        problem = self.bench.problem(self.start, stack.episode.support, stack.n_way)
        watch = Stopwatch(self.bench.device)
        for name, _, choice in self._deployable(problem, self.bench.searched(problem, number)):
            if name != "supernet":
                children(problem, choice)
            self.scores[name].seconds.append(watch.read())
        for name in self._controls():
            watch = Stopwatch(self.bench.device)
            children(problem, control(self.bench, name, problem, number)[1])
            self.scores[name].seconds.append(watch.read())

    def _deployable(self, problem: Problem, found: Choice) -> Iterator[tuple[str, Classification, Choice]]:
        """What stands after each stage of an adaptation, each when it is there: name, networks, and their choice.

        The first stage, the search, has `found`.
        """
        bench = self.bench
        stages: dict[str, tuple[Classification, Choice]] = {}
        if "supernet" in self.titles:
            stages["supernet"] = bench.strategy.objective(problem, found), found
            yield "supernet", *bench.classified(problem, *stages["supernet"])
        if "child" in self.titles:
            yield "child", *bench.classified(problem, as_decoded(problem, found), found)
        if "child_tuned" in self.titles:
            tuned = bench.tuned(problem, found, build.child_steps(bench.experiment))
            stages["child_tuned"] = as_decoded(problem, tuned), tuned
            yield "child_tuned", *bench.classified(problem, *stages["child_tuned"])
        if "class_means" in self.titles:
            yield "class_means", *with_class_means(problem, *stages[self.headline])

    def _controls(self) -> list[str]:
        return [name for name in (*CONTROLS, RESTING) if name in self.titles]

    def _score(self, name: str, objective: Classification, choice: Choice, episodes: Episode) -> None:
        self.scores[name].add([(objective, choice.params)], episodes)
        if name != "supernet" and name not in READ_OUTS:
            self.scores[name].genotypes.extend(choice.genotypes)


@dataclass(frozen=True)
class Examiner:
    """The part of an evaluation that every core does: episode numbers in, scores out."""

    bench: Workbench
    start: MetaParams
    dataset: str
    episodes: Episodes
    portions: Portions = field(default_factory=Portions)

    def scores(self, first: int, last: int) -> Scores:
        """Every method on episodes `first` to `last - 1`, in calls that fit into memory."""
        comparison = Comparison(self.bench, self.start)
        for stack in self.episodes.stacks(range(first, last)):
            for scores in self.portions(len(stack.numbers), partial(self._scores, stack)):
                comparison.extend(scores)
        return comparison.scores

    def _scores(self, stack: Stack, first: int, last: int) -> Scores:
        comparison, part = Comparison(self.bench, self.start), stack.part(first, last)
        with blaming(part.numbers, self.dataset):
            comparison.add(part)
        return comparison.scores

    def cost(self, genotype: Genotype) -> Cost:
        """What a child costs; counting takes a tenth of a second."""
        return self.bench.cost(self.bench.space.child(genotype, self.bench.judged))
