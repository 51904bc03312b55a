import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from metanas.config import Experiment
from metanas.errors import CheckpointError, ConfigError, NonFiniteError, RunError
from metanas.parallel import Crew
from metanas.run.directory import RunDirectory
from metanas.run.interrupt import Interrupted
from metanas.run.meta_train import _Loop, meta_train
from metanas.run.state import Progressed
from metanas.track.jsonl import read_rows

Tiny = Callable[..., Experiment]
Outcome = Callable[[RunDirectory], dict[str, object]]
ROOT = Path(__file__).parents[2]
LONG = ["meta.iterations=40", "meta.save_every=5", "meta.validate_every=0", "track.every=2"]
"""Long enough for a signal from outside to arrive in the middle."""


@pytest.fixture
def signal_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Lets a real signal arrive while an iteration is being computed."""

    def arrange(iteration: int, number: int) -> None:
        compute = _Loop.step

        def step(self: _Loop, crew: Crew, state: Progressed) -> object:
            if state.iteration == iteration:
                monkeypatch.setattr(_Loop, "step", compute)
                os.kill(os.getpid(), number)
            return compute(self, crew, state)

        monkeypatch.setattr(_Loop, "step", step)

    return arrange


def test_a_run_leaves_what_its_directory_promises(done) -> None:
    names = {path.relative_to(done.path).as_posix() for path in done.path.rglob("*") if path.is_file()}
    assert {
        "config.yaml",
        "env.json",
        "metrics.jsonl",
        "arch.json",
        "genotype.json",
        "checkpoint/last.pt",
        "checkpoint/best.pt",
        "checkpoint/manifest.json",
        "cells/prior.svg",
        "pictures/arch.png",
        "result.json",
        "report.html",
        "cells/task-1.svg",
    } <= names
    assert not [name for name in names if "tmp" in name]
    assert done.directory.experiment() == done.experiment
    environment = json.loads((done.path / "env.json").read_text())
    assert environment["threads"] == 1
    assert environment["torch"] == torch.__version__


def test_every_iteration_is_a_row_and_so_is_every_validation(done) -> None:
    rows = [row for row in read_rows(done.directory.metrics) if "meta/iter" in row]
    assert [row["meta/iter"] for row in rows if "meta/outer_loss" in row] == [1, 2, 3, 4]
    assert [row["meta/iter"] for row in rows if "validation/acc" in row] == [2, 4]
    assert [row["meta/temperature"] for row in rows if "meta/temperature" in row] == [1.0, 0.5, 0.0, 0.0]


def test_the_same_experiment_gives_the_same_bits(done, tiny: Tiny, outcome: Outcome, tmp_path: Path) -> None:
    again = RunDirectory(tmp_path / "again")
    meta_train(tiny(), again, quiet=True)
    expected = outcome(done.directory)
    expected["rows"] = [row for row in expected["rows"] if "meta/iter" in row]
    assert outcome(again) == expected


def test_another_seed_gives_another_run(done, tiny: Tiny, tmp_path: Path) -> None:
    other = RunDirectory(tmp_path / "other")
    meta_train(tiny("seed=1", "meta.iterations=1", "meta.validate_every=0"), other, quiet=True)
    assert read_rows(other.metrics)[0]["meta/outer_loss"] != read_rows(done.directory.metrics)[0]["meta/outer_loss"]


@pytest.mark.parametrize("validate_every", [0, 3])
def test_a_run_that_is_interrupted_at_every_iteration_ends_with_the_same_bits(
    validate_every: int, tiny: Tiny, outcome: Outcome, signal_at, tmp_path: Path
) -> None:
    # Rows of several iterations, so that some are cut in the middle.
    experiment = tiny("track.every=3", f"meta.validate_every={validate_every}")
    whole, stopped = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "stopped")
    meta_train(experiment, whole, quiet=True)
    for iteration in range(4):
        signal_at(iteration, signal.SIGTERM)
        with pytest.raises(Interrupted, match="SIGTERM") as caught:
            meta_train(experiment, stopped, resume=iteration > 0, quiet=True)
        assert caught.value.exit_code == 143
        assert stopped.checkpoints.load("last")["iteration"] == iteration + 1
    meta_train(experiment, stopped, resume=True, quiet=True)
    assert outcome(stopped) == outcome(whole)


def test_the_number_of_threads_does_not_change_a_bit(tiny: Tiny, outcome: Outcome, tmp_path: Path) -> None:
    found = []
    for threads in (1, 2):
        directory = RunDirectory(tmp_path / f"{threads}")
        meta_train(
            tiny(f"threads={threads}", "meta.iterations=2", "meta.chunk=1", "evaluate.chunk=1"), directory, quiet=True
        )
        found.append(outcome(directory))
        for name in ("last", "best"):
            del found[-1][f"/{name}/experiment"]
    assert found[0] == found[1]


def test_after_a_run_signals_do_what_they_did(tiny: Tiny, signal_at, tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    signal_at(0, signal.SIGINT)
    with pytest.raises(Interrupted):
        meta_train(tiny(), RunDirectory(tmp_path / "run"), quiet=True)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_exit_code_tells_the_signal(
    number: signal.Signals, code: int, metanas, tiny_overrides: list[str], signal_at, tmp_path: Path
) -> None:
    signal_at(1, number)
    said = metanas("meta-train", "-q", "--out", tmp_path / "run", *tiny_overrides)
    assert (said.code, said.out) == (code, "")
    assert said.err == f"metanas: stopped by {number.name}\n"


def test_resuming_a_complete_run_changes_nothing(copied: RunDirectory, done, outcome: Outcome) -> None:
    meta_train(done.experiment, copied, resume=True, quiet=True)
    assert outcome(copied) == outcome(done.directory)


def test_a_run_that_was_killed_before_its_first_checkpoint_starts_again(
    done, tiny: Tiny, tmp_path: Path, outcome: Outcome, caplog: pytest.LogCaptureFixture
) -> None:
    directory = RunDirectory(tmp_path / "run")
    with directory.begun(tiny(), resume=False):
        pass
    directory.metrics.write_text('{"meta/iter": 1, "meta/outer_loss": 7.0}\n{"meta/it')
    with caplog.at_level(logging.WARNING):
        meta_train(tiny(), directory, resume=True, quiet=True)
    assert "starting again at iteration 0" in caplog.text
    expected = outcome(done.directory)
    expected["rows"] = [row for row in expected["rows"] if "meta/iter" in row]
    assert outcome(directory) == expected


def test_a_damaged_last_checkpoint_costs_iterations_and_no_bits(
    tiny: Tiny, outcome: Outcome, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    experiment = tiny("meta.save_every=1", "meta.validate_every=0")
    directory = RunDirectory(tmp_path / "run")
    meta_train(experiment, directory, quiet=True)
    expected = outcome(directory)
    last = directory.path / "checkpoint" / "last.pt"
    last.write_bytes(last.read_bytes()[:1000])
    with caplog.at_level(logging.WARNING):
        meta_train(experiment, directory, resume=True, quiet=True)
    assert "last.pt is damaged" in caplog.text
    assert outcome(directory) == expected


def test_another_torch_is_warned_about_on_resume(copied: RunDirectory, done, caplog: pytest.LogCaptureFixture) -> None:
    copied.checkpoints.save("last", copied.checkpoints.load("last") | {"torch": "1.0"})
    with caplog.at_level(logging.WARNING):
        meta_train(done.experiment, copied, resume=True, quiet=True)
    assert f"torch was 1.0 and is now {torch.__version__}: the continued run is not bit-exact" in caplog.text


class TestRefusals:
    """Each in one line with exit code 2, and nothing changed."""

    @pytest.fixture(autouse=True)
    def _unchanged(self, done) -> Iterator[None]:
        before = {path: path.stat().st_mtime_ns for path in done.path.rglob("*")}
        yield
        assert {path: path.stat().st_mtime_ns for path in done.path.rglob("*")} == before

    def test_an_existing_run(self, done, metanas, tiny_overrides: list[str]) -> None:
        line = metanas("meta-train", "--out", done.path, *tiny_overrides).line
        assert f"{done.path} holds a run already; continue it with --resume" in line

    def test_resume_with_another_configuration(self, done, metanas, tiny_overrides: list[str]) -> None:
        changes = ["inner.steps=2", "data.root=a long path with blanks " + "x" * 80]
        line = metanas("meta-train", "--resume", "--out", done.path, *tiny_overrides, *changes).line
        assert "is a run of another configuration (data.root: None -> a long path" in line
        assert "inner.steps: 1 -> 2)" in line

    def test_resume_of_nothing(self, metanas, tiny_overrides: list[str], tmp_path: Path) -> None:
        line = metanas("meta-train", "--resume", "--out", tmp_path / "nothing", *tiny_overrides).line
        assert "nothing is not a run directory: expected config.yaml" in line
        assert list(tmp_path.iterdir()) == []

    def test_a_directory_that_cannot_be_made(self, metanas, tiny_overrides: list[str], tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        line = metanas("meta-train", "--out", tmp_path / "file" / "run", *tiny_overrides).line
        assert "run cannot be written: Not a directory" in line

    def test_a_device_that_is_not_there(self, metanas, tiny_overrides: list[str], tmp_path: Path) -> None:
        if torch.cuda.is_available():
            pytest.skip("this machine has a GPU")
        line = metanas("meta-train", "--out", tmp_path / "run", *tiny_overrides, "device=cuda").line
        assert "device=cuda was asked for" in line
        assert list(tmp_path.iterdir()) == []

    def test_data_that_is_not_there(
        self, metanas, tiny_overrides: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("METANAS_DATA", raising=False)
        line = metanas("meta-train", "--out", tmp_path / "run", *tiny_overrides, "data.source=omniglot").line
        assert "METANAS_DATA" in line
        assert list(tmp_path.iterdir()) == []

    def test_more_classes_than_the_data_has(self, metanas, tiny_overrides: list[str], tmp_path: Path) -> None:
        line = metanas("meta-train", "--out", tmp_path / "run", *tiny_overrides, "task.n_way=1000").line
        assert "1000-way episodes need 1000 classes" in line
        assert list(tmp_path.iterdir()) == []


def test_a_second_process_is_told_who_writes_here(
    copied: RunDirectory, metanas, tiny_overrides: list[str], done
) -> None:
    with copied.locked():
        trained = metanas("meta-train", "--resume", "--out", copied.path, *tiny_overrides).line
        evaluated = metanas("evaluate", copied.path).line
    for line in (trained, evaluated):
        assert f"is being written by process {os.getpid()} on " in line
    assert copied.checkpoints.load("last").keys() == done.directory.checkpoints.load("last").keys()
    assert metanas("meta-train", "-q", "--resume", "--out", copied.path, *tiny_overrides).code == 0


def test_the_second_of_two_beginners_writes_nothing(tiny: Tiny, tmp_path: Path) -> None:
    """Both have looked before either has begun."""
    first, second = RunDirectory(tmp_path / "run"), RunDirectory(tmp_path / "run")
    with first.begun(tiny(), resume=False):
        with pytest.raises(RunError, match="is being written by process"), second.begun(tiny("seed=2"), resume=False):
            pass
        assert first.experiment() == tiny()
    with pytest.raises(RunError, match="holds a run already"), second.begun(tiny("seed=2"), resume=False):
        pass
    assert first.experiment() == tiny()


def test_a_lock_that_a_dead_process_left_is_no_lock(copied: RunDirectory) -> None:
    (copied.path / "lock").write_text("process 1 on elsewhere")
    with copied.locked():
        pass


@pytest.mark.parametrize("keys", [["inner.lr_weights=1e30"], ["outer.lr_weights=1e30"]])
def test_a_loss_that_is_no_number_ends_the_run_and_names_the_iteration(
    keys: list[str], metanas, tiny_overrides: list[str], tmp_path: Path
) -> None:
    directory = RunDirectory(tmp_path / "run")
    saving = ["meta.save_every=1", "meta.validate_every=0"]
    line = metanas("meta-train", "-q", "--out", directory.path, *tiny_overrides, *saving, *keys).line
    assert "outer iteration " in line
    assert "not finite" in line
    iteration = int(line.split("outer iteration ")[1].split(":")[0])
    rows = read_rows(directory.metrics) if directory.metrics.exists() else []
    assert [row["meta/iter"] for row in rows] == list(range(1, iteration + 1))
    assert directory.checkpoints.has("last") == (iteration > 0)
    if iteration:
        assert directory.checkpoints.load("last")["iteration"] == iteration


def test_the_error_of_a_bad_loss_is_an_arithmetic_error(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError, match=r"outer iteration 0: .*lower inner.lr_weights"):
        meta_train(tiny("inner.lr_weights=1e30"), RunDirectory(tmp_path / "run"), quiet=True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda plain: {"a": 1}, "lacks"),
        (lambda plain: plain | {"params/weights": 3}, "not one of meta-training"),
        (lambda plain: plain | {"params/arch": {}}, "another network than the configuration: expected normal"),
    ],
)
def test_a_foreign_checkpoint_is_refused(
    change: Callable[[dict[str, object]], dict[str, object]], says: str, copied: RunDirectory, done
) -> None:
    for name in ("last", "best"):
        copied.checkpoints.save(name, change(done.directory.checkpoints.load(name)))
    with pytest.raises(CheckpointError, match=says) as caught:
        meta_train(done.experiment, copied, resume=True, quiet=True)
    assert "\n" not in str(caught.value)


def test_a_manifest_that_is_damaged_while_training_ends_the_run_with_its_reason(tiny: Tiny, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    (directory.path / "checkpoint").mkdir(parents=True)
    (directory.path / "checkpoint" / "manifest.json").write_text("{")
    with pytest.raises(RunError, match="checkpoint last cannot be written to .*manifest.json is damaged"):
        meta_train(tiny("meta.validate_every=0"), directory, quiet=True)


def test_only_what_may_differ_can_be_overridden(done) -> None:
    assert done.directory.experiment(["evaluate.episodes=9", "adapt.steps=3"]).adapt.steps == 3
    for override in ("space.width=4", "task.n_way=3", "seed=1", "inner.steps=2", "evaluat.episodes=3"):
        with pytest.raises(ConfigError, match="cannot change after meta-training"):
            done.directory.experiment([override])


# Processes of their own: signals from outside, in the middle of whatever happens.


@pytest.fixture(scope="module")
def uninterrupted(tiny: Tiny, outcome: Outcome, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    directory = RunDirectory(tmp_path_factory.mktemp("runs") / "whole")
    meta_train(tiny(*LONG), directory, quiet=True)
    return outcome(directory)


@contextmanager
def training(directory: RunDirectory, overrides: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that is in the middle of meta-training."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from metanas.cli import app; app()", "meta-train", "--out", directory.path, *overrides],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while process.poll() is None and not (
            directory.checkpoints.has("last") and directory.metrics.read_text().count("\n") > 4
        ):
            time.sleep(0.002)
        yield process
    finally:
        process.kill()
        process.communicate()


def test_sigterm_saves_and_a_second_process_is_refused_meanwhile(
    uninterrupted: dict[str, object], tiny: Tiny, tiny_overrides: list[str], metanas, outcome: Outcome, tmp_path: Path
) -> None:
    directory = RunDirectory(tmp_path / "run")
    with training(directory, [*tiny_overrides, *LONG]) as process:
        process.send_signal(signal.SIGSTOP)  # holds it where it is
        line = metanas("meta-train", "--resume", "--out", directory.path, *tiny_overrides, *LONG).line
        assert f"is being written by process {process.pid} on " in line
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert out == ""
    assert err.splitlines()[-1] == "metanas: stopped by SIGTERM"
    assert "Warning" not in err
    saved = directory.checkpoints.load("last")["iteration"]
    assert isinstance(saved, int)
    assert 5 < saved < 40
    meta_train(tiny(*LONG), directory, resume=True, quiet=True)
    assert outcome(directory) == uninterrupted


def test_a_killed_run_goes_on_from_its_last_checkpoint(
    uninterrupted: dict[str, object], tiny: Tiny, tiny_overrides: list[str], outcome: Outcome, tmp_path: Path
) -> None:
    directory = RunDirectory(tmp_path / "run")
    with training(directory, [*tiny_overrides, *LONG]) as process:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    saved = directory.checkpoints.load("last")["iteration"]
    assert isinstance(saved, int)
    assert saved % 5 == 0
    meta_train(tiny(*LONG), directory, resume=True, quiet=True)
    assert outcome(directory) == uninterrupted
