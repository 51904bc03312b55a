"""Meta-training: learn the start that all tasks share. The loop itself fits on one screen."""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import torch

from metanas.config import Experiment
from metanas.errors import NonFiniteError, RunError
from metanas.evaluate.interval import interval
from metanas.meta.batch import Executor
from metanas.meta.learner import MetaLearner
from metanas.parallel import Crew
from metanas.params import MetaParams, Metrics, tree_map
from metanas.run import build
from metanas.run.directory import RunDirectory
from metanas.run.interrupt import Interrupt
from metanas.run.pictures import draw_prior
from metanas.run.restore import load
from metanas.run.state import Progressed, to_plain
from metanas.run.teacher import Teacher
from metanas.run.trackers import open_trackers
from metanas.run.workbench import Workbench
from metanas.spaces.initial import initial_weights
from metanas.track.console import Progress
from metanas.track.tracker import Tracker
from tasks.episode import Episodes, spans
from tasks.stream import stream

log = logging.getLogger(__name__)


def meta_train(experiment: Experiment, directory: RunDirectory, *, resume: bool = False, quiet: bool = False) -> None:
    """Runs or continues meta-training in `directory`.

    An interrupted run saves first and then raises `Interrupted`; continued with `resume` it ends with the same bits as
    an uninterrupted one.

    Raises:
        RunError: the directory holds a run already (without `resume`) or none (with it), or another configuration's.
        ConfigError, DataError, CheckpointError: before anything is written.
    """
    _check_directory(experiment, directory, resume=resume)
    bench = Workbench.of(experiment)
    data = build.dataset(experiment.data)
    train = build.training(experiment, data, bench.device)
    validation = build.episodes(experiment, data, "validation", bench.device)
    learner = build.learner(experiment)
    state = _load(bench, learner, directory) if resume else _begin(bench, learner)
    if not resume:
        directory.create(experiment)
    with directory.locked():
        directory.write_environment({"threads": build.processes(experiment), "resumed_at": state.iteration or None})
        _Loop(bench, learner, train, validation, directory).run(state, quiet=quiet, resume=resume)


class _Loop:
    """Meta-training with its collaborators at hand."""

    def __init__(
        self,
        bench: Workbench,
        learner: MetaLearner,
        train: Episodes,
        validation: Episodes,
        directory: RunDirectory,
    ) -> None:
        self.bench, self.learner = bench, learner
        execute = Executor(learner.gradient, bench.experiment.meta.execute)
        self.teacher = Teacher(bench, execute, train, validation)
        self.directory = directory

    def run(self, state: Progressed, *, quiet: bool, resume: bool) -> None:
        experiment = self.bench.experiment
        meta, every = experiment.meta, experiment.track.every
        trackers = open_trackers(self.directory, experiment, state.iteration if resume else None)
        exit_code = 1
        began = time.monotonic() - state.seconds
        try:
            with (
                Crew(self.teacher, build.processes(experiment)) as crew,
                Interrupt() as interrupt,
                Progress("iter", meta.iterations, 10 * every, quiet, done=state.iteration) as progress,
            ):
                while state.iteration < meta.iterations:
                    state, metrics = self.step(crew, state)
                    state = state._replace(seconds=time.monotonic() - began, window=(*state.window, metrics))
                    if self.is_due(state.iteration, meta.validate_every):
                        state = self.validate(crew, state, trackers, progress)
                    if self.is_due(state.iteration, every):
                        state = self.record(state, trackers, progress)
                    if self.is_due(state.iteration, meta.save_every) or interrupt.signal is not None:
                        self.save("last", state)
                    interrupt.check()
            self.hand_over(state, trackers)
            exit_code = 0
        finally:
            trackers.finish(exit_code)

    def step(self, crew: Crew, state: Progressed) -> tuple[Progressed, Metrics]:
        """One outer step: a function of the state and the experiment alone."""
        meta = self.bench.experiment.meta
        began = time.perf_counter()
        i = state.iteration
        start = state.learner.params
        parts = spans(i * meta.tasks, (i + 1) * meta.tasks, meta.chunk)
        verdicts = crew.map("verdict", [(start, i, *part) for part in parts])
        scale = meta.cosine + (1 - meta.cosine) * (1 + math.cos(math.pi * i / meta.iterations)) / 2
        try:
            learner, metrics = self.learner.step(state.learner, verdicts, scale)
        except NonFiniteError as error:
            raise NonFiniteError(f"outer iteration {i}: {error}") from error
        metrics["meta/temperature"] = self.bench.experiment.relax.temperature(i / meta.iterations)
        metrics["seconds"] = time.perf_counter() - began
        return state._replace(learner=learner, iteration=i + 1), metrics

    def record(self, state: Progressed, trackers: Tracker, progress: Progress) -> Progressed:
        """Writes one row: the means since the last one, and what the prior looks like now."""
        row = _mean(state.window)
        row |= self.describe(state, row.pop("seconds"))
        trackers.log({"meta/iter": state.iteration, **row})
        progress.update(state.iteration, loss=row["meta/outer_loss"], tasks_per_s=row["meta/tasks_per_s"])
        return state._replace(window=())

    def validate(self, crew: Crew, state: Progressed, trackers: Tracker, progress: Progress) -> Progressed:
        """Scores the deployed networks on validation classes; the best state is kept for evaluation."""
        experiment = self.bench.experiment
        parts = spans(0, experiment.meta.validate_episodes, experiment.evaluate.chunk)
        found = crew.map("scores", [(state.learner.params, *part) for part in parts])
        score = interval([value for part in found for value in part])
        trackers.log({"meta/iter": state.iteration, "validation/acc": score.mean, "validation/acc_ci95": score.ci95})
        progress.note(validation=score.mean)
        for name, path in draw_prior(self.bench, state.learner.params.arch, self.directory).items():
            trackers.image(name, path, state.iteration)
        if score.mean > state.best:
            state = state._replace(best=score.mean)
            self.save("best", state)
        return state

    def hand_over(self, state: Progressed, trackers: Tracker) -> None:
        """Gives the finished run's checkpoint and genotype to the trackers."""
        genotype = list(self.bench.space.decode(state.learner.params.arch))
        path = self.directory.write_json("genotype.json", {"genotype": genotype})
        trackers.artifact("checkpoint", "model", self.directory.checkpoints.directory, ("latest", "best"))
        trackers.artifact("genotype", "genotype", path, ("latest",))

    def describe(self, state: Progressed, seconds: float) -> Metrics:
        """What the prior looks like now, and the speed."""
        arch, meta = state.learner.params.arch, self.bench.experiment.meta
        entropy = [-(torch.softmax(a, -1) * torch.log_softmax(a, -1)).sum(-1).mean() for a in arch.values()]
        cells = self.bench.space.cells(self.bench.space.decode(arch))
        ops = [edge.op for edges in cells.values() for edge in edges]
        return {
            "meta/tasks_per_s": meta.tasks / seconds,
            "arch/entropy": float(torch.stack(entropy).mean()),
            "arch/max_logit": max(float(a.abs().max()) for a in arch.values()),
            "arch/skip_ratio": ops.count("skip_connect") / len(ops),
        }

    def is_due(self, done: int, every: int) -> bool:
        """Whether something that happens every `every` steps, and at the end, happens now."""
        return every > 0 and (done % every == 0 or done == self.bench.experiment.meta.iterations)

    def save(self, name: str, state: Progressed) -> None:
        """Writes a checkpoint; a full disk ends the run, the previous checkpoint intact."""
        try:
            self.directory.checkpoints.save(name, to_plain(state, self.bench.experiment))
        except OSError as error:
            raise RunError(
                f"checkpoint {name} cannot be written to {self.directory.path}: {error.strerror or error}; "
                "make room and continue with --resume"
            ) from error


def _begin(bench: Workbench, learner: MetaLearner) -> Progressed:
    seed, std = bench.experiment.seed, bench.experiment.meta.arch_std
    weights = initial_weights(bench.net, stream(seed, "weights"))
    arch = {
        kind: logits + std * torch.randn(logits.shape, generator=stream(seed, "arch", kind))
        for kind, logits in bench.space.logits().items()
    }
    start = tree_map(lambda t: t.to(bench.device), MetaParams(weights, arch))
    return Progressed(learner.init(start), 0, 0.0, -1.0)


def _load(bench: Workbench, learner: MetaLearner, directory: RunDirectory) -> Progressed:
    if not any(map(directory.checkpoints.has, ("last", "prev"))):
        log.warning("%s was stopped before its first checkpoint: starting again at iteration 0", directory.path)
        return _begin(bench, learner)
    plain = directory.checkpoints.load("last")
    if plain.get("torch") != str(torch.__version__):
        log.warning(
            "torch was %s and is now %s: the continued run is not bit-exact", plain.get("torch"), torch.__version__
        )
    return load(bench, plain)


def _check_directory(experiment: Experiment, directory: RunDirectory, *, resume: bool) -> None:
    if directory.exists and not resume:
        raise RunError(f"{directory.path} holds a run already; continue it with --resume or choose another --out")
    if resume:
        before, now = _flat(asdict(directory.experiment())), _flat(asdict(experiment))
        # the number of processes and what is tracked change no bit of the result
        fixed = [key for key in now if key.split(".")[0] not in ("threads", "track")]
        changed = [f"{key}: {before[key]} -> {now[key]}" for key in fixed if before[key] != now[key]]
        if changed:
            raise RunError(
                f"{directory.path} is a run of another configuration ({'; '.join(changed)}); "
                "resume with its own, or choose another --out"
            )


def _flat(group: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """The values of nested groups under dotted keys."""
    flat: dict[str, object] = {}
    for key, value in group.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def _mean(rows: Sequence[Metrics]) -> Metrics:
    return {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}
