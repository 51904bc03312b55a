"""Training from scratch: the network of given cells by the recipe of DARTS, and its error on the test images."""

import math
import time
from collections.abc import Iterator
from dataclasses import replace

import torch

from metanas.config.retrain import RetrainExperiment
from metanas.errors import NonFiniteError
from metanas.evaluate.retrain_report import write_retrain_report
from metanas.networks.network import DerivedNetwork
from metanas.networks.training import step
from metanas.run.build_retrain import RetrainBench
from metanas.run.directory import RunDirectory
from metanas.run.given_cells import given_cells
from metanas.run.loop import drive, tracked
from metanas.run.origin import Origin, origin, read_given, read_origin, write_origin
from metanas.run.pictures import draw_cell_genotype
from metanas.run.resume import check_directory, save, saved
from metanas.run.retrain_state import Retrained, begin, from_plain, to_plain
from metanas.spaces.genotype_text import write_genotype
from metanas.track.console import Progress
from metanas.track.tracker import RETRAIN_STEP, Tracker
from tasks.episode import Batch

Result = dict[str, object]
"""The content of result.json."""


def retrain(
    given: str, experiment: RetrainExperiment, directory: RunDirectory, *, resume: bool = False, quiet: bool = False
) -> Result:
    """Runs or continues a training from scratch in `directory`, and writes result.json, the cells and the report.

    The test images are looked at once, after the last epoch: nothing is chosen by them. An interrupted training saves
    first and then raises `Interrupted`; continued with `resume` on a CPU it ends with the same bits as an uninterrupted
    one.

    Args:
        given: the cells, see `given_cells`; their text replaces `experiment.genotype`.
        experiment: the configuration.
        directory: of the run.
        resume: continue the run there.
        quiet: show no progress.

    Raises:
        RunError: the directory holds a run already (without `resume`) or none (with it), or another configuration's.
        ConfigError, DataError, GenotypeError, CheckpointError: before anything is written.
    """
    experiment = replace(experiment, genotype=write_genotype(given_cells(given, experiment.seed)))
    check_directory(experiment, directory, resume=resume, harmless=("track",))
    bench = RetrainBench.of(experiment)
    plain = saved(directory) if resume else None
    found = origin(given) if not resume else read_origin(directory)
    state = begin(bench) if plain is None else from_plain(plain, bench)
    with directory.begun(experiment, resume=resume):
        if not resume:
            write_origin(directory, found, given)
        extra = {
            "given": read_given(directory) or given,
            "threads": torch.get_num_threads(),
            "resumed_at": state.iteration or None,
        }
        directory.write_environment(extra)
        return _Retraining(bench, directory, found).run(state, quiet=quiet, resume=resume)


class _Retraining:
    """A training from scratch with its collaborators at hand."""

    def __init__(self, bench: RetrainBench, directory: RunDirectory, found: Origin) -> None:
        self.bench, self.directory, self.found = bench, directory, found

    def run(self, state: Retrained, *, quiet: bool, resume: bool) -> Result:
        bench, every = self.bench, len(self.bench.train)
        with tracked(self.directory, bench.experiment, state.iteration if resume else None, RETRAIN_STEP) as trackers:
            with Progress("step", bench.steps, every, quiet, done=state.iteration) as progress:
                began = time.monotonic() - state.seconds
                state = drive(
                    state,
                    lambda now: self.turn(now, began, trackers, progress),
                    lambda now: save(self.directory, "last", to_plain(now, bench.experiment)),
                    is_done=lambda now: now.iteration >= bench.steps,
                    save_every=every * bench.experiment.retrain.save_every,
                )
            return self.hand_over(state, trackers)

    def turn(self, state: Retrained, began: float, trackers: Tracker, progress: Progress) -> Retrained:
        """One step, and the row of an epoch after its last one."""
        state = self.step(state)._replace(seconds=time.monotonic() - began)
        if state.iteration % len(self.bench.train) == 0:
            row = self.row(state)
            trackers.log(row)
            progress.note(epoch=row["retrain/epoch"], loss=row["retrain/loss"], acc=row["retrain/acc"])
            state = state._replace(window=())
        progress.update(state.iteration)
        return state

    def step(self, state: Retrained) -> Retrained:
        """One step, whose draws depend on the seed and its number alone."""
        bench, i, experiment = self.bench, state.iteration, self.bench.experiment
        epoch, index = divmod(i, len(bench.train))
        seen = step(
            state.net,
            state.optimiser,
            bench.train.batch(epoch, index),
            lr=bench.lr(i),
            drop_path=bench.drop_path(i),
            auxiliary=experiment.network.auxiliary,
            clip=experiment.retrain.clip,
            autocast=bench.autocast,
        )
        if not math.isfinite(seen.loss):
            raise NonFiniteError(
                f"epoch {epoch + 1}, step {index + 1}: the loss is not finite ({seen.loss}); lower retrain.lr"
            )
        return state._replace(iteration=i + 1, window=(*state.window, seen))

    def row(self, state: Retrained) -> dict[str, float]:
        """What an epoch's steps saw on average."""
        last = state.iteration - 1
        return {
            RETRAIN_STEP: state.iteration,
            "retrain/epoch": state.iteration // len(self.bench.train),
            "retrain/loss": sum(seen.loss for seen in state.window) / len(state.window),
            "retrain/acc": sum(seen.accuracy for seen in state.window) / len(state.window),
            "retrain/lr": self.bench.lr(last),
            "retrain/drop_path": self.bench.drop_path(last).prob,
        }

    def hand_over(self, state: Retrained, trackers: Tracker) -> Result:
        """Tests the trained network and writes what people want of it."""
        result = self.result(state)
        draw_cell_genotype(self.bench.cells, self.directory.path / "cells" / "trained.svg", "trained cells")
        path = self.directory.write_json("result.json", result)
        report = write_retrain_report(self.directory.path)
        trackers.artifact("checkpoint", "model", self.directory.checkpoints.directory, ("latest",))
        trackers.artifact("result", "result", path, ("latest",))
        trackers.artifact("report", "report", report, ("latest",))
        return result

    def result(self, state: Retrained) -> Result:
        """The figures of the trained network."""
        bench, experiment = self.bench, self.bench.experiment
        size = bench.cost()
        accuracy = scored(state.net, bench.tested(), bench.autocast)
        return {
            "genotype": experiment.genotype,
            "origin": self.found,
            "dataset": bench.data.name,
            "classes": len(bench.data.train.classes),
            "images": [len(bench.train.labels), len(bench.test.labels)],
            "image": list(bench.data.train.image),
            "epochs": experiment.retrain.epochs,
            "width": experiment.network.width,
            "cells": experiment.network.cells,
            "test_accuracy": accuracy,
            "test_error": 1 - accuracy,
            "params": size.params,
            "macs": size.macs,
            "seconds": state.seconds,
            "seed": experiment.seed,
            "device": bench.device.type,
            "precision": experiment.retrain.precision,
        }


def scored(net: DerivedNetwork, batches: Iterator[Batch], autocast: torch.dtype | None) -> float:
    """The share of images that are classified correctly, with running statistics: no image depends on another."""
    net.eval()
    right = seen = 0
    for x, y in batches:
        with torch.no_grad(), torch.autocast(x.device.type, autocast, enabled=autocast is not None):
            right += int((net(x).logits.argmax(1) == y).sum())
        seen += len(y)
    return right / seen
