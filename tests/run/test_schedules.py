"""What changes while a run goes on: the warm-up, patience, learned rates; all of it survives interruptions."""

import math
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch

from metanas.config import Experiment
from metanas.config_file import load_experiment
from metanas.errors import CheckpointError
from metanas.evaluate.interval import Interval, interval
from metanas.meta.batch import Executor
from metanas.parallel import Crew
from metanas.params import MetaParams
from metanas.run import build, build_data
from metanas.run.directory import RunDirectory
from metanas.run.interrupt import Interrupted
from metanas.run.meta_train import _Loop, meta_train
from metanas.run.outer_step import begin, outer_step
from metanas.run.restore import restore
from metanas.run.teacher import Teacher
from metanas.run.workbench import Workbench
from metanas.track.jsonl import read_rows
from tasks.episode import Batch
from tasks.stream import stream

Tiny = Callable[..., Experiment]
Outcome = Callable[[RunDirectory], dict[str, object]]


def stopping_after_every_step(
    experiment: Experiment, directory: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> RunDirectory:
    """A run that is interrupted in every iteration and resumed until it is done."""
    compute = _Loop.step

    def step(self: _Loop, crew: object, state: object) -> object:
        signal.raise_signal(signal.SIGTERM)
        return compute(self, crew, state)  # type: ignore[arg-type]

    monkeypatch.setattr(_Loop, "step", step)
    for _ in range(20):
        try:
            meta_train(experiment, directory, resume=directory.exists, quiet=True)
        except Interrupted:
            continue
        monkeypatch.undo()
        return directory
    raise AssertionError("the run never ended")


def test_a_warm_up_moves_no_logit_and_then_they_move(tiny: Tiny, tmp_path: Path) -> None:
    found = {}
    for share in (0.5, 1.0):
        directory = RunDirectory(tmp_path / str(share))
        overrides = ["relax.kind=softmax", "relax.temperature_end=1", "meta.save_every=2", "meta.validate_every=0"]
        meta_train(tiny(*overrides, f"meta.warmup={share}"), directory, quiet=True)
        assert (directory.path / "cells" / "prior.svg").is_file()  # without a validation too
        found[share] = [directory.checkpoints.load(name) for name in ("prev", "last")]  # after 2 and 4 iterations
    before, after = found[0.5]
    frozen = found[1.0][1]
    for kind, logits in before["params/arch"].items():
        assert torch.equal(logits, frozen["params/arch"][kind])
        assert not torch.equal(logits, after["params/arch"][kind])
    assert (before["rested"], after["rested"], frozen["rested"]) == (2, 2, 4)
    assert not torch.equal(before["params/weights"]["head.weight"], after["params/weights"]["head.weight"])


def test_a_run_that_no_longer_improves_ends_and_says_so(
    tiny: Tiny, outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With outer steps of length zero no validation is better than the first."""
    still = ["outer.lr_weights=0", "outer.lr_arch=0", "meta.iterations=5", "meta.validate_every=1", "track.every=2"]
    experiment = tiny(*still, "meta.patience=2")
    whole = RunDirectory(tmp_path / "whole")
    meta_train(experiment, whole, quiet=True)
    last = whole.checkpoints.load("last")
    assert (last["iteration"], last["stale"]) == (3, 2)
    assert whole.checkpoints.load("best")["iteration"] == 1
    rows = read_rows(whole.metrics)
    assert [row["meta/iter"] for row in rows if "meta/stopped_early" in row] == [3]
    assert [row["meta/iter"] for row in rows if "meta/outer_loss" in row] == [2, 3]
    stopped = stopping_after_every_step(experiment, RunDirectory(tmp_path / "stopped"), monkeypatch)
    assert outcome(stopped) == outcome(whole)
    meta_train(experiment, whole, resume=True, quiet=True)
    assert outcome(stopped) == outcome(whole)


def test_patience_begins_when_the_warm_up_ends(tiny: Tiny, tmp_path: Path) -> None:
    """Validations in which no logit may move are no reason to stop; in a run that is all warm-up they are."""
    still = ["outer.lr_weights=0", "outer.lr_arch=0", "meta.iterations=8", "meta.validate_every=1", "meta.patience=2"]
    for share, stopped in {0.5: 5, 1.0: 3}.items():
        directory = RunDirectory(tmp_path / str(share))
        meta_train(tiny(*still, f"meta.warmup={share}"), directory, quiet=True)
        assert directory.checkpoints.load("last")["iteration"] == stopped


def test_without_patience_all_iterations_run(tiny: Tiny, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    meta_train(tiny("outer.lr_weights=0", "meta.validate_every=1", "meta.iterations=3"), directory, quiet=True)
    assert directory.checkpoints.load("last")["iteration"] == 3
    assert not any("meta/stopped_early" in row for row in read_rows(directory.metrics))


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_everything_at_once_is_resumed_to_the_bit(
    optimiser: str, tiny: Tiny, outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ["inner.rates=layer_step", "inner.steps=2", "meta.warmup=0.5", "meta.patience=9"]
    experiment = tiny(*settings, f"outer.optimiser={optimiser}")
    whole = RunDirectory(tmp_path / "whole")
    meta_train(experiment, whole, quiet=True)
    stopped = stopping_after_every_step(experiment, RunDirectory(tmp_path / "stopped"), monkeypatch)
    assert outcome(stopped) == outcome(whole)
    rates = whole.checkpoints.load("last")["params/rates"]
    assert rates
    assert all(rate.shape[-1] == 2 for rate in rates.values())
    assert any(rate.any() for rate in rates.values())
    row = [row for row in read_rows(whole.metrics) if "meta/outer_loss" in row][-1]
    assert row["rates/least"] < 1 < row["rates/most"]


def test_carried_squares_are_resumed_to_the_bit(
    tiny: Tiny, outcome: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And by tasks of varied ways, whose heads are narrower than the start's."""
    experiment = tiny("meta.gradient=reptile", "inner.optimiser=carried_adam", "inner.steps=2", "task.varied=true")
    whole = RunDirectory(tmp_path / "whole")
    meta_train(experiment, whole, quiet=True)
    stopped = stopping_after_every_step(experiment, RunDirectory(tmp_path / "stopped"), monkeypatch)
    assert outcome(stopped) == outcome(whole)
    plain = whole.checkpoints.load("last")
    squares = plain["params/squares"]
    assert squares.keys() == plain["params/weights"].keys() | plain["params/arch"].keys()
    assert all(square.any() for name, square in squares.items() if name.startswith(("head", "stem")))
    assert not plain["first/squares"]
    plainly = restore(whole, tiny("meta.gradient=reptile", "inner.optimiser=carried_adam", "inner.steps=3"))
    assert plainly.state.learner.params.squares.keys() == squares.keys()
    with pytest.raises(CheckpointError, match="expected the squares of .* of shape None"):
        restore(whole, tiny("meta.gradient=reptile", "inner.optimiser=adam"))


def test_adaptation_uses_the_learned_rates(tiny: Tiny, done, tmp_path: Path) -> None:
    """Halved rates adapt as halved step sizes do, in the search and in the further steps of the child."""
    learning = restore(done.directory, done.experiment)
    start = learning.state.learner.params
    inner = tiny("inner.rates=layer").inner
    start = start._replace(rates={k: r - math.log(2) for k, r in inner.equipped(start).rates.items()})
    x = torch.rand(1, 5, 1, 16, 16, generator=stream(0, "images"))
    support = Batch(x, torch.arange(5)[None])
    steps = ["adapt.steps=2", "adapt.child_steps=2"]
    fast, slow = (
        Workbench.of(tiny(*steps, *overrides)) for overrides in ((), ("inner.lr_weights=0.5", "inner.lr_arch=0.5"))
    )
    _, found = fast.solve(fast.problem(start, support, 5))
    _, expected = slow.solve(slow.problem(start._replace(rates={}), support, 5))
    _, unlearned = fast.solve(fast.problem(start._replace(rates={}), support, 5))
    assert found.genotypes == expected.genotypes
    for name, weight in found.params.weights.items():
        torch.testing.assert_close(weight, expected.params.weights[name])
    assert not torch.allclose(found.params.weights["head.weight"], unlearned.params.weights["head.weight"])


@pytest.mark.parametrize("rates", ["layer", "element"])
def test_own_pictures_are_adapted_to_with_fewer_classes_than_were_trained(
    rates: str, metanas, tiny: Tiny, done, tmp_path: Path
) -> None:
    directory = RunDirectory(tmp_path / "run")
    meta_train(tiny(f"inner.rates={rates}", "meta.validate_every=0"), directory, quiet=True)
    three = tmp_path / "three"
    for name in sorted(path.name for path in (done.example / "support").iterdir())[:3]:
        shutil.copytree(done.example / "support" / name, three / name)
    said = metanas("adapt", directory.path, "--support", three, "--out", tmp_path / "mine")
    assert said.code == 0, said.err
    assert len((tmp_path / "mine" / "predictions.csv").read_text().splitlines()) > 3


def test_a_checkpoint_without_the_rates_of_the_configuration_is_refused(done, tiny: Tiny) -> None:
    with pytest.raises(CheckpointError, match="another network than the configuration: expected the rate of "):
        restore(done.directory, tiny("inner.rates=layer"))


GLYPHS = ["evaluate.n_query=5", "adapt.deploy=supernet", "threads=1", "meta.iterations=120"]
CELLS_OF_TNAS = ["space.kind=fewshot", "space.cells=null", "space.nodes=1", "outer.lr_arch=0.1"]
BY_MAML = [
    "meta.gradient=maml",
    "meta.minibatches=1",
    "inner.first_order=false",
    "inner.steps=1",
    "inner.optimiser=sgd",
]
THEIR_RATES = ["inner.lr_weights=1", "inner.lr_arch=10", "task.n_query=3", "adapt.steps=5", "adapt.arch_steps=3"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("changes", "won"),
    [([], -0.06), ([*CELLS_OF_TNAS, *BY_MAML, *THEIR_RATES], 0.05)],
    ids=["MetaNAS's cells by Reptile", "T-NAS's cells by MAML"],
)
def test_accuracy_does_not_fall_when_the_logits_begin_to_move(changes: list[str], won: float) -> None:
    """The schedule of MetaNAS: not inferior to the end of the warm-up, nor to a warm-up that never ends.

    Each is a difference on the same 240 validation episodes, after the same training tasks, whose 95 % interval lies
    above -3 points. What is judged is the annealed supernet, without decoding and without any step after it. `won` is
    what the warm-up has to be worth at least: by MAML 5 points; 60 outer steps of Reptile are not yet worth the start
    that they leave, so that a run by MAML, with the same schedule, says that learned accuracy is kept too.
    """
    config = Path(__file__).parents[2] / "configs" / "glyphs" / "metanas.yaml"

    def run(warmup: float, shown: Sequence[int]) -> tuple[dict[int, MetaParams], dict[int, list[float]]]:
        """The start after some outer steps, and what the networks that adapt from it score on each episode."""
        experiment = load_experiment(config, [*GLYPHS, *changes, f"meta.warmup={warmup}"])
        bench, learner, data = Workbench.of(experiment), build.learner(experiment), build_data.dataset(experiment.data)
        train, judge = build_data.training(experiment, [data]), build_data.episodes(experiment, data, "validation")
        teacher = Teacher(bench, Executor(learner.gradient), train, (judge,))
        state, starts = begin(bench, learner), {}
        with Crew(teacher, 1) as crew:
            for i in range(experiment.meta.iterations + 1):
                if i in shown:
                    starts[i] = state.learner.params
                state, _ = outer_step(bench, learner, crew, state)
        scores = {i: [x for n in range(0, 240, 40) for x in teacher.scores(p, 0, n, n + 40)] for i, p in starts.items()}
        return starts, scores

    starts, scores = run(0.5, (0, 60, 120))
    resting = run(1.0, (120,))[1][120]
    began, before, after = scores.values()

    def above(one: list[float], other: list[float]) -> Interval:
        return interval([a - b for a, b in zip(one, other, strict=True)])

    found = {"warm-up": above(before, began), "then": above(after, before), "beside": above(after, resting)}
    warm, done = (starts[i].arch for i in (60, 120))
    for name in ("then", "beside"):
        assert found[name].mean - found[name].ci95 > -0.03, found
    assert found["warm-up"].mean > won, found
    for kind in ("normal", "reduction"):
        assert (done[kind] - warm[kind]).abs().max() > 0.1
        broad, narrow = (torch.distributions.Categorical(logits=a[kind] / 0.1).entropy().mean() for a in (warm, done))
        assert broad > 1.9  # of seven operations that are nearly equal; log 7 is 1.95
        assert narrow < broad - 0.05
