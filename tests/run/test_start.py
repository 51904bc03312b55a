"""Meta-training that begins with what another run has learned."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from metanas.config import Experiment
from metanas.params import is_head
from metanas.run import build, build_data
from metanas.run.directory import RunDirectory
from metanas.run.meta_train import meta_train
from metanas.run.outer_step import begin
from metanas.run.restore import restore
from metanas.run.seen import check_unseen
from metanas.run.workbench import Workbench


def test_it_begins_with_the_body_and_the_logits_of_that_run(tiny: Callable[..., Experiment], done) -> None:
    learned = restore(done.directory, done.experiment).state.learner.params  # the checkpoint that validation chose
    experiment = tiny(f"start={done.path}", "task.n_way=3", "seed=1")
    state = begin(Workbench.of(experiment), build.learner(experiment))
    assert (state.iteration, state.learner.optimiser.step) == (0, 0)
    params, drawn = state.learner.params, begin(Workbench.of(tiny("task.n_way=3", "seed=1")), build.learner(experiment))
    assert all(torch.equal(logits, learned.arch[name]) for name, logits in params.arch.items())
    for name, weight in params.weights.items():
        source = drawn.learner.params if is_head(name) else learned
        assert torch.equal(weight, source.weights[name]), name


def test_a_run_that_began_so_is_meta_trained_and_says_so(tiny: Callable[..., Experiment], done, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    meta_train(tiny(f"start={done.path}"), directory, quiet=True)
    assert directory.experiment().start == str(done.path)
    ends = [restore(run, run.experiment()).state.learner.params for run in (directory, done.directory)]
    assert any(not torch.equal(weight, ends[1].weights[name]) for name, weight in ends[0].weights.items())


def test_runs_that_began_from_each_other_have_seen_each_other_s_classes_once(
    tiny: Callable[..., Experiment], done, tmp_path: Path
) -> None:
    """As when the first was made anew, beginning with the second."""
    runs = [RunDirectory(tmp_path / name) for name in "ab"]
    for run, start in zip(runs, reversed(runs), strict=True):
        with run.begun(tiny(f"start={start.path}"), resume=False):
            pass
    check_unseen(runs[0], build_data.dataset(done.experiment.data), "test")


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["space.width=4"], "is of another space: expected .* use its space and data.channels, or start=null"),
        (["start=nowhere"], "nowhere is not a run directory"),
    ],
)
def test_what_it_cannot_begin_with_is_refused(
    overrides: list[str], says: str, metanas, tiny_overrides: list[str], done, tmp_path: Path
) -> None:
    said = metanas("meta-train", "--out", tmp_path / "run", *tiny_overrides, f"start={done.path}", *overrides)
    assert re.search(says, said.line)
    assert not (tmp_path / "run").exists()
