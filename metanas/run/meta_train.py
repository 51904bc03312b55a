"""Meta-training: learn the start that all tasks share. The loop itself fits on one screen."""

import logging
import time
from collections.abc import Sequence

from metanas.config import Experiment
from metanas.errors import NonFiniteError
from metanas.evaluate.interval import stratified
from metanas.evaluate.logits import describe
from metanas.meta.batch import Executor
from metanas.meta.learner import MetaLearner
from metanas.parallel import Crew
from metanas.params import Metrics
from metanas.run import build, build_data
from metanas.run.directory import RunDirectory
from metanas.run.loop import drive, is_due, tracked
from metanas.run.non_finite import without
from metanas.run.outer_step import begin, outer_step, validation_scores
from metanas.run.pictures import draw_prior
from metanas.run.reference import draw_reference
from metanas.run.restore import chosen_checkpoint, load
from metanas.run.resume import check_directory, save, saved
from metanas.run.seen import began_from, check_same, check_unseen, record
from metanas.run.state import Progressed, to_plain
from metanas.run.teacher import Teacher
from metanas.run.workbench import Workbench
from metanas.track.console import Progress
from metanas.track.tracker import Tracker
from tasks.episode import Episodes
from tasks.split import HELD_OUT

log = logging.getLogger(__name__)


def meta_train(experiment: Experiment, directory: RunDirectory, *, resume: bool = False, quiet: bool = False) -> None:
    """Runs or continues meta-training in `directory`.

    An interrupted run saves first and then raises `Interrupted`; continued with `resume` it ends with the same bits as
    an uninterrupted one.

    Raises:
        RunError: the directory holds a run already (without `resume`) or none (with it), or another configuration's.
        ConfigError, DataError, CheckpointError: before anything is written.
    """
    check_directory(experiment, directory, resume=resume, harmless=("threads", "track"))
    bench, learner = Workbench.of(experiment), build.learner(experiment)
    data = [build_data.dataset(experiment.data.of(name)).to(bench.device) for name in experiment.data.sources]
    for part in data:
        check_unseen(began_from(experiment), part, *HELD_OUT)
    if resume:
        check_same(directory, experiment, data)
    train = build_data.training(experiment, data)
    validation = tuple(build_data.episodes(experiment, part, "validation") for part in data)
    state = _load(bench, learner, directory) if resume else begin(bench, learner)
    if not state.iteration:
        state = state._replace(reference=draw_reference(experiment, data))
    bench = bench.with_reference(state.reference)
    with directory.begun(experiment, resume=resume):
        if not resume:
            record(directory, experiment, data)
        directory.write_environment({"threads": build.processes(experiment), "resumed_at": state.iteration or None})
        _Loop(bench, learner, train, validation, directory).run(state, quiet=quiet, resume=resume)


class _Loop:
    """Meta-training with its collaborators at hand."""

    def __init__(
        self,
        bench: Workbench,
        learner: MetaLearner,
        train: Episodes,
        validation: tuple[Episodes, ...],
        directory: RunDirectory,
    ) -> None:
        self.bench, self.learner = bench, learner
        execute = Executor(learner.gradient, bench.experiment.meta.execute, bench.experiment.inner.engine)
        self.teacher = Teacher(bench, execute, train, validation)
        self.directory = directory

    def run(self, state: Progressed, *, quiet: bool, resume: bool) -> None:
        experiment = self.bench.experiment
        meta = experiment.meta
        with tracked(self.directory, experiment, state.iteration if resume else None) as trackers:
            with (
                Crew(self.teacher, build.processes(experiment)) as crew,
                Progress("iter", meta.iterations, 10 * experiment.track.every, quiet, done=state.iteration) as progress,
            ):
                began = time.monotonic() - state.seconds
                state = drive(
                    state,
                    lambda now: self.turn(crew, now, began, trackers, progress),
                    lambda now: self.save("last", now),
                    is_done=self.is_done,
                    save_every=meta.save_every,
                )
            self.hand_over(state, trackers)

    def turn(self, crew: Crew, state: Progressed, began: float, trackers: Tracker, progress: Progress) -> Progressed:
        """One outer step and what is due after it."""
        experiment = self.bench.experiment
        state, metrics = self.step(crew, state)
        state = state._replace(seconds=time.monotonic() - began, window=(*state.window, metrics))
        if self.is_due(state, experiment.meta.validate_every):
            state = self.validate(crew, state, trackers, progress)
        if self.is_due(state, experiment.track.every):
            state = self.record(state, trackers, progress)
        return state

    def step(self, crew: Crew, state: Progressed) -> tuple[Progressed, Metrics]:
        """One outer step: a function of the state and the experiment alone."""
        return outer_step(self.bench, self.learner, crew, state)

    def record(self, state: Progressed, trackers: Tracker, progress: Progress) -> Progressed:
        """Writes one row: the means since the last one, and what the prior looks like now."""
        row = _mean(state.window)
        row |= self.describe(state, row.pop("seconds"))
        trackers.log({"meta/iter": state.iteration, **row})
        shown = {"loss": row["meta/outer_loss"]} if "meta/outer_loss" in row else {}
        progress.update(state.iteration, **shown, tasks_per_s=row["meta/tasks_per_s"])
        return state._replace(window=())

    def validate(self, crew: Crew, state: Progressed, trackers: Tracker, progress: Progress) -> Progressed:
        """Scores the deployed networks on validation classes; the best state is kept for evaluation."""
        try:
            scores = validation_scores(self.bench, crew, state.learner.params)
        except NonFiniteError as error:
            meta = self.bench.experiment.meta
            return without(state, meta, f"the validation after outer iteration {state.iteration}", error)
        score = stratified(list(scores.values()))
        each = {f"validation/acc/{name}": part.mean for name, part in scores.items()} if len(scores) > 1 else {}
        row = {"validation/acc": score.mean, "validation/acc_ci95": score.ci95, **each}
        trackers.log({"meta/iter": state.iteration, **row})
        progress.note(validation=score.mean)
        for name, path in draw_prior(self.bench.space, state.learner.params.arch, self.directory).items():
            trackers.image(name, path, state.iteration)
        if score.mean > state.best:
            state = state._replace(best=score.mean, stale=0)
            self.save("best", state)
            return state
        meta = self.bench.experiment.meta
        if meta.is_warming(state.iteration) and meta.warmup < 1:  # what is waited for has not begun
            return state
        state = state._replace(stale=state.stale + 1)
        if self.has_lost_patience(state):
            trackers.log({"meta/iter": state.iteration, "meta/stopped_early": 1.0})
            log.info("stopped at iteration %d: %d validations without a new best one", state.iteration, state.stale)
        return state

    def hand_over(self, state: Progressed, trackers: Tracker) -> None:
        """Draws the prior of the state that is used later; gives its genotype and the checkpoints to the trackers."""
        name = chosen_checkpoint(self.directory, self.bench.experiment)
        if name == "best":
            state = load(self.bench, self.directory.checkpoints.load(name))
        draw_prior(self.bench.space, state.learner.params.arch, self.directory)
        genotype = list(self.bench.space.decode(state.learner.params.arch))
        path = self.directory.write_json("genotype.json", {"genotype": genotype})
        trackers.artifact("checkpoint", "model", self.directory.checkpoints.directory, ("latest", "best"))
        trackers.artifact("genotype", "genotype", path, ("latest",))

    def describe(self, state: Progressed, seconds: float) -> Metrics:
        """The speed, what the prior looks like now where cells are searched, and how far learned rates moved."""
        params, row = state.learner.params, {"meta/tasks_per_s": self.bench.experiment.meta.tasks / seconds}
        if state.skipped:
            row["meta/skipped"] = state.skipped
        if params.arch:
            cells = self.bench.space.cells(self.bench.space.decode(params.arch))
            ops = [edge.op for edges in cells.values() for edge in edges]
            row |= {**describe(params.arch), "arch/skip_ratio": ops.count("skip_connect") / len(ops)}
        if params.rates:
            factors = [rate.exp() for rate in params.rates.values()]
            row |= {
                "rates/least": min(f.min().item() for f in factors),
                "rates/most": max(f.max().item() for f in factors),
            }
        return row

    def is_due(self, state: Progressed, every: int) -> bool:
        """Whether something that happens every `every` steps, and at the end, happens now."""
        return is_due(state.iteration, every, is_last=self.is_done(state))

    def is_done(self, state: Progressed) -> bool:
        """Whether no step is left: all are done, or validations have long found nothing better."""
        return state.iteration >= self.bench.experiment.meta.iterations or self.has_lost_patience(state)

    def has_lost_patience(self, state: Progressed) -> bool:
        """Whether the last validations found nothing better; a property of the state, so a resumed run agrees."""
        return 0 < self.bench.experiment.meta.patience <= state.stale

    def save(self, name: str, state: Progressed) -> None:
        """Writes a checkpoint."""
        save(self.directory, name, to_plain(state, self.bench.experiment))


def _load(bench: Workbench, learner: MetaLearner, directory: RunDirectory) -> Progressed:
    plain = saved(directory)
    return begin(bench, learner) if plain is None else load(bench, plain)


def _mean(rows: Sequence[Metrics]) -> Metrics:
    """Of each metric over the steps that have it: one that was left out has no loss."""
    known = {key: [row[key] for row in rows if key in row] for row in rows for key in row}
    return {key: sum(values) / len(values) for key, values in known.items()}
