"""Single-task search: epochs over two halves of a training set, and the cells that they lead to."""

import math
import time
from collections.abc import Iterator

import torch

from metanas.config.search import SearchExperiment
from metanas.errors import NonFiniteError
from metanas.evaluate.accuracy import accuracy
from metanas.evaluate.logits import describe
from metanas.evaluate.search_report import write_search_report
from metanas.objective import Classification
from metanas.params import MetaParams, Metrics, Params
from metanas.relax.fixed import Fixed
from metanas.run.build_search import SearchBench
from metanas.run.directory import RunDirectory
from metanas.run.loop import drive, is_due, tracked
from metanas.run.pictures import draw_search
from metanas.run.restore import check_network
from metanas.run.resume import check_directory, save, saved
from metanas.run.search_state import Searched, from_plain, stage_of, to_plain
from metanas.run.start import start, start_seconds
from metanas.run.table_score import KEY, NoTable, TableScore, table_score
from metanas.search.collapse import signs, skip_ratios
from metanas.search.curvature import dominant_eigenvalue
from metanas.spaces.cost import cost
from metanas.spaces.genotype import random_genotype
from metanas.spaces.space import Genotype
from metanas.track.console import Progress
from metanas.track.tracker import SEARCH_STEP, Tracker
from tasks.episode import Batch
from tasks.stream import stream

RANDOM_CELLS = 5
"""Random genotypes whose mean accuracy stands beside that of the found one."""

Result = dict[str, object]
"""The content of result.json."""


def search(
    experiment: SearchExperiment, directory: RunDirectory, *, resume: bool = False, quiet: bool = False
) -> Result:
    """Runs or continues a search in `directory`, and writes genotype.json, result.json, cells and the report.

    An interrupted search saves first and then raises `Interrupted`; continued with `resume` it ends with the same bits
    as an uninterrupted one.

    Raises:
        RunError: the directory holds a run already (without `resume`) or none (with it), or another configuration's.
        ConfigError, DataError, CheckpointError: before anything is written.
    """
    check_directory(experiment, directory, resume=resume, harmless=("track",))
    plain = saved(directory) if resume else None
    bench = SearchBench.of(experiment) if plain is None else SearchBench.of(experiment, stage_of(plain))
    score = table_score(experiment)  # now, so that a damaged table is no surprise after hours
    state = _begin(bench) if plain is None else _load(bench, plain)
    with directory.begun(experiment, resume=resume):
        extra = {"threads": torch.get_num_threads(), "resumed_at": state.iteration or None}
        directory.write_environment(extra)
        return _Search(bench, directory, score).run(state, quiet=quiet, resume=resume)


class _Search:
    """A search with its collaborators at hand."""

    def __init__(self, bench: SearchBench, directory: RunDirectory, score: TableScore | NoTable | None = None) -> None:
        self.bench, self.directory, self.score = bench, directory, score

    def run(self, state: Searched, *, quiet: bool, resume: bool) -> Result:
        bench, every = self.bench, len(self.bench.train)
        with tracked(self.directory, bench.experiment, state.iteration if resume else None, SEARCH_STEP) as trackers:
            with Progress("step", bench.steps, every, quiet, done=state.iteration) as progress:
                began = time.monotonic() - state.seconds
                while state.iteration < bench.steps:
                    if state.iteration == self.bench.end:
                        state = self.advance(state)
                    state = drive(
                        state,
                        lambda now: self.turn(now, began, trackers, progress),
                        lambda now: save(self.directory, "last", to_plain(now, bench.experiment)),
                        is_done=lambda now: now.iteration >= self.bench.end,
                        save_every=every * bench.experiment.search.save_every,
                    )
            return self.hand_over(state, trackers)

    def advance(self, state: Searched) -> Searched:
        """The beginning of the next stage: a function of the end of this one."""
        self.bench = SearchBench.of(self.bench.experiment, self.bench.next_stage(state.search.params.arch))
        search = self.bench.searcher.init(start(self.bench))
        return state._replace(search=search, stage=self.bench.stage, eigenvalues=())

    def turn(self, state: Searched, began: float, trackers: Tracker, progress: Progress) -> Searched:
        """One step, and the row and the pictures of an epoch after its last one."""
        state = self.step(state)
        state = state._replace(seconds=time.monotonic() - began)
        if state.iteration % len(self.bench.train) == 0:
            state = self.record(state, trackers, progress)
        progress.update(state.iteration)
        return state

    def step(self, state: Searched) -> Searched:
        """One step: a function of the state and the experiment alone."""
        bench, i = self.bench, state.iteration
        epoch, index = divmod(i, len(bench.train))
        train = bench.train.batch(epoch, index)
        valid = bench.valid.batch(*divmod(i, len(bench.valid)))  # its own passes: the second half may be shorter
        found, metrics = bench.searcher.step(
            state.search, train.to(bench.precision), valid.to(bench.precision), bench.pace(i)
        )
        if not all(map(math.isfinite, metrics.values())):
            raise NonFiniteError(
                f"epoch {epoch + 1}, step {index + 1}: the loss is not finite ({metrics}); lower search.lr_weights or "
                "search.lr_arch"
            )
        return state._replace(search=found, iteration=i + 1, window=(*state.window, metrics))

    def record(self, state: Searched, trackers: Tracker, progress: Progress) -> Searched:
        """Writes the row of an epoch and draws where the search is."""
        bench, params = self.bench, state.search.params
        epoch = state.iteration // len(bench.train)
        history = {kind: torch.cat([past, params.arch[kind].cpu()[None]]) for kind, past in state.history.items()}
        eigenvalues = state.eigenvalues
        row: dict[str, float | int | str] = {SEARCH_STEP: state.iteration, "search/epoch": epoch, **_mean(state.window)}
        row["search/seconds"] = state.seconds
        row["search/acc"] = accuracy(self.noiseless(epoch), params, self.judged())
        row["search/temperature"] = bench.temperature(epoch - 1)
        row["search/lr_weights"] = bench.pace(state.iteration - 1).lr_weights
        row |= describe(params.arch)
        genotype = bench.decode(params.arch)
        ratios = skip_ratios(bench.space.cells(genotype))
        row |= {f"skip_ratio/{kind}": ratio for kind, ratio in ratios.items()}
        row["search/genotype"] = " ".join(map(str, genotype))
        if is_due(epoch, bench.experiment.search.hessian_every, is_last=epoch == bench.epochs):
            eigenvalues = (*eigenvalues, self.eigenvalue(epoch, params))
            row["search/eigenvalue"] = eigenvalues[-1]
        row["search/collapsed"] = int(bool(signs(ratios, eigenvalues)))
        trackers.log(row)
        for name, path in draw_search(bench.space, genotype, params.arch, history, self.directory).items():
            trackers.image(name, path, state.iteration)
        progress.note(
            epoch=epoch, loss=float(row["search/train_loss"]), acc=float(row["search/acc"]), skips=max(ratios.values())
        )
        return state._replace(history=history, eigenvalues=eigenvalues, window=())

    def hand_over(self, state: Searched, trackers: Tracker) -> Result:
        """Judges the finished search and writes what people want of it."""
        bench, params = self.bench, state.search.params
        genotype = bench.decode(params.arch)
        cells = bench.space.cells(genotype)
        path = self.directory.write_json(
            "genotype.json",
            {
                "genotype": list(genotype),
                "cells": {kind: [edge._asdict() for edge in edges] for kind, edges in cells.items()},
            },
        )
        result = self.result(state, genotype)
        if self.score is not None:
            result[KEY] = self.score(genotype, [bench.decode(then) for then in _unrolled(state.history)])
        self.directory.write_json("result.json", result)
        report = write_search_report(self.directory.path)
        trackers.artifact("checkpoint", "model", self.directory.checkpoints.directory, ("latest",))
        trackers.artifact("genotype", "genotype", path, ("latest",))
        trackers.artifact("report", "report", report, ("latest",))
        return result

    def result(self, state: Searched, genotype: Genotype) -> Result:
        """The figures of the finished search, all accuracies on the validation half."""
        bench, params, experiment = self.bench, state.search.params, self.bench.experiment
        rng = stream(experiment.seed, "random cells")
        controls = [self.inherited(self.control(rng), params) for _ in range(RANDOM_CELLS)]
        child, supernet = (cost(net, bench.spec) for net in (bench.space.child(genotype, bench.spec), bench.net))
        ratios = skip_ratios(bench.space.cells(genotype))
        return {
            "method": experiment.search.method,
            "dataset": bench.bank.name,
            "classes": len(bench.bank.classes),
            "images": [len(bench.train.labels), len(bench.valid.labels)],
            "epochs": bench.epochs,
            "seconds": state.seconds,
            "accuracy_supernet": accuracy(self.noiseless(bench.epochs), params, self.judged()),
            "accuracy_child": self.inherited(genotype, params),
            "accuracy_random": sum(controls) / len(controls),
            "params": child.params,
            "macs": child.macs,
            "params_supernet": supernet.params,
            "macs_supernet": supernet.macs,
            "genotype": list(genotype),
            "skip_ratios": ratios,
            "eigenvalues": list(state.eigenvalues),
            "collapse": signs(ratios, state.eigenvalues),
            "start": experiment.start,
            "start_seconds": state.start_seconds,
            "seed": experiment.seed,
            "device": bench.device.type,
        }

    def control(self, rng: torch.Generator) -> Genotype:
        """A random architecture; where operations have been left out, one of those that are left."""
        space = self.bench.space
        if self.bench.stage.kept is None:
            return random_genotype(space, rng)
        return space.decode(
            {k: logits + torch.randn(logits.shape, generator=rng) for k, logits in space.logits().items()}
        )

    def inherited(self, genotype: Genotype, params: MetaParams) -> float:
        """The accuracy of a decoded network with the supernet's weights, without any training of its own."""
        gates = {kind: table.to(self.bench.device) for kind, table in self.bench.space.encode(genotype).items()}
        return accuracy(Classification(self.bench.net, Fixed(gates)), params, self.judged())

    def noiseless(self, epoch: int) -> Classification:
        """The supernet as the method would use it without chance, after `epoch` epochs."""
        return Classification(self.bench.net, self.bench.searcher.relaxation, self.bench.temperature(epoch - 1))

    def eigenvalue(self, epoch: int, params: MetaParams) -> float:
        """The dominant Hessian eigenvalue on the first validation batch, the same one in every epoch."""
        rng = stream(self.bench.experiment.seed, "eigenvalue", epoch)
        return dominant_eigenvalue(self.noiseless(epoch), params, self.bench.judged.batch(0, 0), rng)

    def judged(self) -> Iterator[Batch]:
        """The validation images, each once, mixed so that a batch holds all classes."""
        return (self.bench.judged.batch(0, i) for i in range(len(self.bench.judged)))


def _begin(bench: SearchBench) -> Searched:
    params = start(bench)
    history = {kind: logits.cpu()[None] for kind, logits in params.arch.items()}
    return Searched(bench.searcher.init(params), 0, 0.0, history, start_seconds=start_seconds(bench.experiment.start))


def _load(bench: SearchBench, plain: dict[str, object]) -> Searched:
    state = from_plain(plain, bench.device)
    check_network(state.search.params, bench.net, bench.space)
    return state


def _unrolled(history: Params) -> Iterator[Params]:
    """The logits at the beginning and after every epoch, one after the other."""
    for tables in zip(*history.values(), strict=True):
        yield dict(zip(history, tables, strict=True))


def _mean(rows: tuple[Metrics, ...]) -> Metrics:
    return {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}
