"""Transfer between data sets: which cells the tasks of each choose, and what these are worth to the others' tasks.

Every network of the matrix begins at the meta-learned weights and takes as many support steps; only its cell differs.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from metanas.config import Experiment
from metanas.errors import ConfigError
from metanas.evaluate.accuracy import accuracies
from metanas.evaluate.interval import interval
from metanas.evaluate.report import write_report
from metanas.objective import Classification
from metanas.parallel import Crew
from metanas.params import MetaParams, spread
from metanas.problem import Choice, Problem, as_decoded
from metanas.run import build
from metanas.run.comparison import architecture
from metanas.run.controls import CONTROLS, RESTING, control, has_a_way
from metanas.run.directory import RunDirectory
from metanas.run.interrupt import Interrupt
from metanas.run.judges import judges
from metanas.run.non_finite import blaming
from metanas.run.pictures import by_part
from metanas.run.restore import restore
from metanas.run.workbench import Workbench
from metanas.spaces.space import Genotype, SearchSpace
from metanas.track.console import Progress
from tasks.episode import Episodes, spans
from tasks.split import SplitName
from tasks.stream import stream

TITLES = {
    "deployed": "each task's own cell, with the weights of its search (what adapt hands out)",
    "own": "each task's own cell",
    "modal": "the cell that most tasks of the data set chose",
    "prior": "one cell for all tasks, from the prior",
    "resting": "the prior's cell, searched with resting logits",
    "random": "a random cell for each task",
}
"""What the matrix is held against."""

Result = dict[str, object]
Scores = dict[str, list[float]]
"""Accuracies of tasks in the order of their numbers, by where the cells come from."""


@dataclass(frozen=True)
class Traveller:
    """The part that every core does: functions of a data set's name and episode numbers."""

    bench: Workbench
    start: MetaParams
    episodes: Mapping[str, Episodes]

    def chosen(self, source: str, first: int, last: int) -> list[Genotype]:
        """The cells that tasks `first` to `last - 1` of a data set choose."""
        found: dict[int, Genotype] = {}
        for stack in self.episodes[source].stacks(range(first, last)):
            problem = self.bench.problem(self.start, stack.episode.support, stack.n_way)
            found |= zip(stack.numbers, self.bench.searched(problem, stack.numbers[0]).genotypes, strict=True)
        return [found[number] for number in range(first, last)]

    def scores(self, source: str, first: int, last: int, offers: Mapping[str, Sequence[Genotype]]) -> Scores:
        """What the cells `offers`, one for each of the tasks `first` to `last - 1` of a data set, are worth to them.

        With them `TITLES`' other rows, which are those of an evaluation of the same episodes.
        """
        found: dict[str, dict[int, float]] = {}
        for stack in self.episodes[source].stacks(range(first, last)):
            problem = self.bench.problem(self.start, stack.episode.support, stack.n_way)
            networks = {"deployed": self.bench.solve(problem, stack.numbers[0])}
            if has_a_way(self.bench):
                networks["resting"] = control(self.bench, RESTING, problem, stack.numbers[0])
            cells = {name: tuple(offer[i - first] for i in stack.numbers) for name, offer in offers.items()}
            for name, strategy in CONTROLS.items():
                rng = stream(self.bench.experiment.seed, name, stack.numbers[0])
                cells[name.removesuffix("_child")] = strategy(problem, rng).genotypes
            trained = {genotypes: self._trained(problem, genotypes) for genotypes in dict.fromkeys(cells.values())}
            networks |= {name: trained[genotypes] for name, genotypes in cells.items()}
            for name, (objective, choice) in networks.items():
                with blaming(stack.numbers, source):
                    values = accuracies(objective, choice.params, stack.episode, transductive=True)
                found.setdefault(name, {}).update(zip(stack.numbers, values, strict=True))
        return {name: [values[number] for number in range(first, last)] for name, values in found.items()}

    def _trained(self, problem: Problem, genotypes: tuple[Genotype, ...]) -> tuple[Classification, Choice]:
        """Given cells after as many support steps as a search and its child take together."""
        adapt = self.bench.experiment.adapt
        given = Choice(genotypes, spread(problem.start, problem.tasks))
        tuned = self.bench.tuned(problem, given, adapt.deployed_steps)
        return self.bench.classified(problem, as_decoded(problem, tuned), tuned)


def transfer(
    directory: RunDirectory, experiment: Experiment, *, split: SplitName = "test", quiet: bool = False
) -> Result:
    """Measures the transfer matrix of a run, writes transfer.json and report.html, and returns the result.

    Row `a` of the matrix gives task i of every data set the cell that task i of `a` chose; on the diagonal task i gets
    the cell of task i + 1, so that no entry knows the support set that it is judged with. Accuracies are transductive.

    Args:
        directory: of the run.
        experiment: its configuration, perhaps with another `evaluate`, `adapt` or `data`.
        split: whose classes the episodes show.
        quiet: no progress.

    Raises:
        ConfigError: fewer than two data sets, or an experiment whose tasks choose no cells.
        DataError: images are missing, or the run was trained on classes of `split`.
    """
    sources = list(experiment.evaluate.sources or experiment.data.sources)
    if len(sources) < 2:
        raise ConfigError(
            f"a transfer needs at least two data sets, got {', '.join(sources)}; name them in evaluate.sources, e.g. "
            "evaluate.sources=[omniglot,glyphs]"
        )
    restored = restore(directory, experiment)
    bench = restored.bench
    if (architecture(bench), experiment.adapt.strategy) != ("searched", "gradient"):
        raise ConfigError(
            "a transfer is of cells that tasks chose: expected a space with something to decide and "
            f"adapt.strategy=gradient, got space.kind={experiment.space.kind} and {experiment.adapt.strategy}"
        )
    if experiment.adapt.deploy != "child":
        raise ConfigError(
            f"a transfer compares cells that were decoded: expected adapt.deploy=child, got {experiment.adapt.deploy}; "
            "set it for this call, and adapt.child_steps too if children are to take further steps"
        )
    controls = {name: title for name, title in TITLES.items() if name != "resting" or has_a_way(bench)}
    found = judges(directory, experiment, bench, split)
    traveller = Traveller(bench, restored.state.learner.params, {name: judge.episodes for name, judge in found.items()})
    with directory.locked(), Interrupt() as interrupt:
        chosen, scores = _measure(traveller, interrupt, quiet=quiet)
        result: Result = {
            "sources": sources,
            "n_way": bench.judged.n_way,
            "k_shot": bench.judged.k_shot,
            "n_query": bench.judged.n_query,
            "varied": experiment.task.varied,
            "episodes": experiment.evaluate.episodes,
            "split": split,
            "mode": "transductive",
            "adapt_steps": experiment.adapt.steps,
            "child_steps": experiment.adapt.child_steps,
            "lr_arch": build.inner_of(experiment, experiment.adapt.steps).lr_arch,
            "checkpoint": restored.checkpoint,
            "seed": experiment.seed,
            "device": str(bench.device),
            "matrix": {source: _entries(source, scores) for source in sources},
            "controls": {name: {"title": title} | _entries(name, scores) for name, title in controls.items()},
            "cells": {source: described(bench.space, chosen[source]) for source in sources},
        }
        directory.write_json("transfer.json", result)
        write_report(directory.path)
    return result


def _measure(
    traveller: Traveller, interrupt: Interrupt, *, quiet: bool
) -> tuple[dict[str, list[Genotype]], dict[str, Scores]]:
    """The cells that the tasks of each data set chose, and the scores on each."""
    experiment, sources = traveller.bench.experiment, list(traveller.episodes)
    n, processes = experiment.evaluate.episodes, build.processes(experiment)
    parts = spans(0, n, experiment.evaluate.chunk)
    chosen: dict[str, list[Genotype]] = {source: [] for source in sources}
    scores: dict[str, Scores] = {source: {} for source in sources}
    with Crew(traveller, processes) as crew, Progress("episode", 2 * n * len(sources), 50, quiet) as progress:
        for done, source in enumerate(sources):
            for i in range(0, len(parts), processes):
                for cells in crew.map("chosen", [(source, *part) for part in parts[i : i + processes]]):
                    chosen[source].extend(cells)
                progress.update(done * n + len(chosen[source]))
                interrupt.check()
        modal = {source: Counter(cells).most_common(1)[0][0] for source, cells in chosen.items()}
        for done, source in enumerate(sources, start=len(sources)):
            offers = {name: cells[1:] + cells[:1] if name == source else cells for name, cells in chosen.items()}
            offers |= {"own": chosen[source], "modal": [modal[source]] * n}
            for i in range(0, len(parts), processes):
                calls = [
                    (source, first, last, {name: offer[first:last] for name, offer in offers.items()})
                    for first, last in parts[i : i + processes]
                ]
                for found in crew.map("scores", calls):
                    for name, values in found.items():
                        scores[source].setdefault(name, []).extend(values)
                progress.update(done * n + len(scores[source]["own"]))
                interrupt.check()
    return chosen, scores


def _entries(name: str, scores: Mapping[str, Scores]) -> dict[str, object]:
    """A row: how good the cells `name` are on each data set, and how far above cells of that data set's other tasks."""
    row: dict[str, object] = {}
    for source, found in scores.items():
        accuracy = interval(found[name])
        above = interval([mine - home for mine, home in zip(found[name], found[source], strict=True)])
        row[source] = {
            "accuracy": accuracy.mean,
            "ci95": accuracy.ci95,
            "difference": above.mean,
            "difference_ci95": above.ci95,
        }
    return row


def described(space: SearchSpace, cells: Sequence[Genotype]) -> dict[str, object]:
    """Which cells the tasks of a data set chose: how many, the most frequent one, and the shares of the operations."""
    gates = [space.encode(genotype) for genotype in cells]
    mean = {name: torch.stack([gate[name] for gate in gates]).mean(0) for name in gates[0]}
    tables, _ = by_part(space, mean)
    total = torch.stack([torch.tensor(table).sum(0) for table in tables.values()]).sum(0)
    counts = Counter(cells).most_common()
    return {
        "distinct": len(counts),
        "modal": list(counts[0][0]),
        "modal_share": counts[0][1] / len(cells),
        "operations": dict(zip(space.primitives, (total / total.sum()).tolist(), strict=True)),
        "edges": tables,
    }
