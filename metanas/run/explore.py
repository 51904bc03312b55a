"""Exploration: cell after cell is meta-trained and scored, and the best one handed over."""

import json
from typing import NamedTuple, cast

import torch

from metanas.atomic import write_atomically
from metanas.config.exploration import Exploration
from metanas.config_file import dump_experiment
from metanas.errors import CheckpointError
from metanas.estimators.estimator import Estimator
from metanas.explore.explorer import Explorer, Trial, best
from metanas.explore.growth import Growth
from metanas.explore.progressive import Progressive
from metanas.explore.random_cells import RandomCells
from metanas.run import build, build_data
from metanas.run.directory import RunDirectory
from metanas.run.loop import drive, tracked
from metanas.run.meta_trained import MetaTrained
from metanas.run.pictures import draw_genotype
from metanas.run.resume import check_directory, save, saved
from metanas.track.console import Progress
from metanas.track.tracker import EXPLORE_STEP, Tracker
from tasks.dataset import Dataset

Result = dict[str, object]
"""The content of result.json."""


class Explored(NamedTuple):
    """How far an exploration came."""

    trials: tuple[Trial, ...]

    @property
    def iteration(self) -> int:
        """Cells scored."""
        return len(self.trials)


def explore(experiment: Exploration, directory: RunDirectory, *, resume: bool = False, quiet: bool = False) -> Result:
    """Runs or continues an exploration in `directory`; writes result.json, cells/found.svg, and cell.yaml.

    cell.yaml is the configuration that meta-trains the best cell. A signal takes effect after the cell at hand, which
    is saved; continued with `resume` the exploration ends with the same scores as an uninterrupted one.

    Raises:
        RunError: the directory holds a run already (without `resume`) or none (with it), or another configuration's.
        ConfigError, DataError, CheckpointError: before anything is written.
    """
    check_directory(experiment, directory, resume=resume, harmless=("threads", "track"))
    run = _Exploration(experiment, directory)
    plain = saved(directory) if resume else None
    state = Explored(()) if plain is None else _from_plain(plain)
    with directory.begun(experiment, resume=resume):
        directory.write_environment({"resumed_at": state.iteration or None})
        return run.run(state, quiet=quiet, resume=resume)


class _Exploration:
    """An exploration with its collaborators at hand."""

    def __init__(self, experiment: Exploration, directory: RunDirectory) -> None:
        self.experiment, self.directory = experiment, directory
        child = experiment.child(1, ())
        device = build.device(child)
        self.spaces = [build.space(experiment.child(n + 1, ())) for n in range(experiment.space.nodes)]
        self.growth = Growth(self.spaces)
        self.explorer = explorer(experiment, self.growth)
        self.data = [build_data.dataset(experiment.data.of(name)).to(device) for name in experiment.data.sources]
        for space in self.spaces:
            space.supernet(build_data.spec(child))  # images that are too small for it are refused here
        build_data.training(child, self.data)  # and classes of too few
        for part in self.data:
            build_data.episodes(child, part, "validation")

    def run(self, state: Explored, *, quiet: bool, resume: bool) -> Result:
        resumed = state.iteration if resume else None
        with tracked(self.directory, self.experiment, resumed, EXPLORE_STEP) as trackers:
            with Progress("cell", self.explorer.budget, 1, quiet, done=state.iteration) as progress:
                state = drive(
                    state,
                    lambda now: self.turn(now, trackers, progress),
                    lambda now: save(self.directory, "last", self.to_plain(now)),
                    is_done=lambda now: self.explorer.next(now.trials) is None,
                    save_every=1,
                )
            return self.hand_over(state, trackers)

    def turn(self, state: Explored, trackers: Tracker, progress: Progress) -> Explored:
        """Scores one cell."""
        cell = self.explorer.next(state.trials)
        assert cell is not None
        nodes, genotype = self.growth.size(cell) + 1, self.growth.genotype(cell)
        estimate = estimator(self.experiment, nodes, self.data)(genotype)
        state = Explored((*state.trials, Trial(cell, estimate.score, estimate.seconds)))
        top = best(state.trials).score
        trackers.log(
            {
                EXPLORE_STEP: state.iteration,
                "explore/nodes": nodes,
                "explore/score": estimate.score,
                "explore/best": top,
                "explore/genotype": " ".join(map(str, genotype)),
                "explore/seconds": estimate.seconds,
            }
        )
        progress.note(nodes=nodes, score=estimate.score, best=top)
        progress.update(state.iteration)
        return state

    def hand_over(self, state: Explored, trackers: Tracker) -> Result:
        """Writes what people want of the exploration."""
        found = best(state.trials)
        size = self.growth.size(found.cell)
        genotype, space = self.growth.genotype(found.cell), self.spaces[size]
        draw_genotype(space, genotype, self.directory.path / "cells" / "found.svg", "found cells")
        child = self.experiment.child(size + 1, genotype)
        write_atomically(self.directory.path / "cell.yaml", dump_experiment(child).encode())
        cells = space.cells(genotype)
        result: Result = {
            "method": self.experiment.explore.method,
            "nodes": size + 1,
            "genotype": list(genotype),
            "cells": {kind: [edge._asdict() for edge in edges] for kind, edges in cells.items()},
            "accuracy_validation": found.score,
            "candidates": state.iteration,
            "seconds": sum(trial.seconds for trial in state.trials),
            "best_by_nodes": self.by_nodes(state),
            "seed": self.experiment.seed,
        }
        trackers.artifact("genotype", "genotype", self.directory.write_json("result.json", result), ("latest",))
        return result

    def by_nodes(self, state: Explored) -> list[float]:
        """The best score of every size that was scored."""
        sizes = [self.growth.size(trial.cell) for trial in state.trials]
        return [
            max(trial.score for trial, its in zip(state.trials, sizes, strict=True) if its == size)
            for size in sorted(set(sizes))
        ]

    def to_plain(self, state: Explored) -> dict[str, object]:
        """A dictionary of tensors, numbers and strings."""
        return {
            "experiment": dump_experiment(self.experiment),
            "iteration": state.iteration,
            "torch": str(torch.__version__),
            "trials": json.dumps(state.trials),
        }


def explorer(experiment: Exploration, growth: Growth) -> Explorer:
    """The explorer that the configuration names."""
    explore = experiment.explore
    progressive = Progressive(growth, experiment.seed, explore.first, explore.beam, explore.ridge)
    if explore.method == "progressive":
        return progressive
    return RandomCells(growth, experiment.seed, progressive.budget)


def estimator(experiment: Exploration, nodes: int, data: list[Dataset]) -> Estimator:
    """What scores cells of `nodes` nodes."""
    return MetaTrained(lambda genotype: experiment.child(nodes, genotype), data)


def _from_plain(plain: dict[str, object]) -> Explored:
    try:
        rows = json.loads(cast(str, plain["trials"]))
        return Explored(tuple(Trial(tuple(cell), score, seconds) for cell, score, seconds in rows))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"the checkpoint is not one of an exploration: {error!r}") from error
