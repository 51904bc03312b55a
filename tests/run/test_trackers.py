import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from metanas.config import Experiment
from metanas.run.directory import RunDirectory
from metanas.run.meta_train import meta_train
from metanas.track.jsonl import read_rows

SHORT = ["meta.iterations=2", "meta.validate_every=0", "track.wandb.mode=offline"]


def test_a_run_is_copied_to_wandb_inside_its_own_directory(
    home: Path, tiny: Callable[..., Experiment], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = RunDirectory(tmp_path / "run")
    with caplog.at_level(logging.WARNING):
        meta_train(tiny(*SHORT), directory, quiet=True)
    assert caplog.records == []
    (segment,) = (directory.path / "wandb").glob("offline-run-*")
    (record,) = segment.glob("run-*.wandb")
    assert b"meta/outer_loss" in record.read_bytes()
    assert list(home.rglob("*")) == []
    assert {path.name for path in tmp_path.iterdir()} == {"home", "run"}


def test_a_tracker_that_cannot_start_is_left_out_with_one_warning(
    home: Path, tiny: Callable[..., Experiment], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = RunDirectory(tmp_path / "run")
    (directory.path / "wandb_id").mkdir(parents=True)  # where the id of the run is kept
    with caplog.at_level(logging.WARNING):
        meta_train(tiny(*SHORT), directory, quiet=True)
    (record,) = caplog.records
    assert "Weights & Biases is left out of this run: IsADirectoryError" in record.getMessage()
    assert [row["meta/iter"] for row in read_rows(directory.metrics)] == [1, 2]
    assert directory.checkpoints.load("last")["iteration"] == 2


def test_a_tracker_that_breaks_later_is_dropped_with_one_warning(
    home: Path,
    tiny: Callable[..., Experiment],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody ends the tracker's run from outside, after the first row."""
    import wandb

    from metanas.parallel import Crew
    from metanas.run.meta_train import _Loop
    from metanas.run.state import Progressed

    compute = _Loop.step

    def step(self: _Loop, crew: Crew, state: Progressed) -> object:
        if state.iteration == 1:
            wandb.finish()
        return compute(self, crew, state)

    monkeypatch.setattr(_Loop, "step", step)
    directory = RunDirectory(tmp_path / "run")
    with caplog.at_level(logging.WARNING):
        meta_train(tiny(*SHORT, "meta.iterations=3"), directory, quiet=True)
    messages = [record.getMessage() for record in caplog.records if record.name.startswith("metanas")]
    assert len(messages) == 1
    assert "tracker Wandb failed" in messages[0]
    assert [row["meta/iter"] for row in read_rows(directory.metrics)] == [1, 2, 3]
    assert directory.checkpoints.load("last")["iteration"] == 3
