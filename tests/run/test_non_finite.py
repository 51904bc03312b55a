"""A loss or gradient that is not finite: who is at fault, and what `meta.non_finite` makes of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from metanas.config import Experiment
from metanas.errors import ConfigError, NonFiniteError
from metanas.meta.batch import Executor
from metanas.meta.gradient import Verdict
from metanas.meta.learner import Descent, DescentState
from metanas.meta.maml import Maml
from metanas.optim import Outer
from metanas.params import MetaParams
from metanas.run import build, build_data
from metanas.run.directory import RunDirectory
from metanas.run.meta_train import meta_train
from metanas.run.outer_step import begin
from metanas.run.teacher import Teacher
from metanas.run.workbench import Workbench
from metanas.track.jsonl import read_rows

Tiny = Callable[..., Experiment]
BAD = ["inner.lr_weights=1e30", "meta.validate_every=0", "meta.save_every=1"]
"""Every meta-batch has a loss that is no number."""


def verdict(slope: float, *losses: float) -> Verdict:
    return Verdict(MetaParams({"w": torch.tensor([slope])}, {}), torch.tensor(losses))


@pytest.mark.parametrize(
    ("verdicts", "tasks", "what"),
    [
        ([verdict(1.0, 0.1, 0.2), verdict(float("nan"), 0.3, float("nan"))], (3,), "query loss"),
        ([verdict(1.0, 0.1, float("inf")), verdict(1.0, 0.3)], (1,), "query loss"),
        ([verdict(1.0, 0.1), verdict(float("inf"), 0.3, 0.4), verdict(1.0, 0.5)], (1, 2), "meta-gradient"),
        ([verdict(3e38, 0.1), verdict(3e38, 0.3)], (0, 1), "meta-gradient"),
    ],
    ids=["a loss", "an infinite loss", "the gradient of a part", "a sum that is too large"],
)
def test_the_tasks_at_fault_are_known(verdicts: list[Verdict], tasks: tuple[int, ...], what: str) -> None:
    learner = Descent(Maml(Experiment().inner), Outer())
    state: DescentState = learner.init(MetaParams({"w": torch.zeros(1)}, {}))
    with pytest.raises(NonFiniteError, match=f"the {what}.* is not finite") as caught:
        learner.step(state, verdicts, 1.0)
    assert caught.value.tasks == tasks


def test_episodes_and_data_sets_are_named(
    small_cifar: Path, monkeypatch: pytest.MonkeyPatch, metanas, tiny_overrides: list[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("METANAS_DATA", str(small_cifar))
    mixed = ["data.source=cifar_fs", "data.channels=3", "data.mix=[glyphs]", "meta.tasks=6", *BAD]
    line = metanas("meta-train", "-q", "--out", tmp_path / "run", *tiny_overrides, *mixed).line
    named = line.removeprefix("metanas: outer iteration 0: ").split(": the ")[0]
    said = dict(reversed(part.removeprefix("training episodes ").split(" of ")) for part in named.split(" and "))
    assert said.keys() == {"cifar_fs", "glyphs"}
    episodes = {name: [int(number) for number in numbers.split(", ")] for name, numbers in said.items()}
    assert sorted(episodes["cifar_fs"] + episodes["glyphs"]) == list(range(6))


def test_losses_of_episodes_of_many_shapes_come_in_their_order(tiny: Tiny) -> None:
    experiment = tiny("task.varied=true", "task.n_way=4", "task.least_way=2", "task.k_shot=3", "task.most_support=8")
    bench, learner = Workbench.of(experiment), build.learner(experiment)
    train = build_data.training(experiment, [build_data.dataset(experiment.data)])
    teacher = Teacher(bench, Executor(learner.gradient), train, ())
    start = begin(bench, learner).learner.params
    together = teacher.verdict(start, 0, 0, 8).query_loss
    alone = [teacher.verdict(start, 0, i, i + 1).query_loss.item() for i in range(8)]
    assert len({stack.n_way for stack in train.stacks(range(8))}) > 1
    assert together.tolist() == pytest.approx(alone, rel=1e-4)


def test_skipping_leaves_the_start_as_it_was(tiny: Tiny, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    experiment, directory = tiny(*BAD, "meta.non_finite=skip"), RunDirectory(tmp_path / "run")
    meta_train(experiment, directory, quiet=True)
    state = directory.checkpoints.load("last")
    assert (state["iteration"], state["skipped"], state["step"]) == (4, 4, 0)
    start = begin(Workbench.of(experiment), build.learner(experiment)).learner.params
    assert all(torch.equal(weight, start.weights[name]) for name, weight in state["params/weights"].items())
    rows = read_rows(directory.metrics)
    assert [row["meta/skipped"] for row in rows] == [1, 2, 3, 4]
    assert not any("meta/outer_loss" in row for row in rows)
    assert "outer iteration 2 left out: training episodes 4, 5 of glyphs: the meta-gradient" in caplog.text


def test_skipping_has_a_bound_that_resuming_keeps(tiny_overrides: list[str], metanas, tmp_path: Path) -> None:
    keys = ["-q", "--out", tmp_path / "run", *tiny_overrides, *BAD, "meta.non_finite=skip", "meta.skips=2"]
    for more in ([], ["--resume"]):
        said = metanas("meta-train", *keys, *more)
        assert said.code == 2
        assert "outer iteration 2, after 2 others were left out (meta.skips): training episodes 4, 5" in said.err


WILD = "inner.lr_weights=1e30"
"""New tasks have predictions that are no numbers; training tasks too, unless they take no steps."""


def test_a_validation_names_its_episodes_or_is_left_out(tiny: Tiny, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    with pytest.raises(
        NonFiniteError,
        match=r"the validation after outer iteration 2: episodes 0, 1 of the validation classes of glyphs",
    ):
        meta_train(tiny(WILD, "inner.steps=0"), directory, quiet=True)
    left_out = RunDirectory(tmp_path / "skipping")
    meta_train(tiny(WILD, "inner.steps=0", "meta.non_finite=skip"), left_out, quiet=True)
    state = left_out.checkpoints.load("last")
    assert (state["iteration"], state["skipped"], state["step"], state["best"]) == (4, 2, 4, -1.0)
    assert not left_out.checkpoints.has("best")


def test_new_tasks_that_fail_are_named_and_nothing_is_written(tiny: Tiny, done, metanas, tmp_path: Path) -> None:
    run = tmp_path / "run"
    meta_train(
        tiny(WILD, "inner.steps=0", "meta.validate_every=0", "meta.non_finite=skip"), RunDirectory(run), quiet=True
    )
    says = "the predictions of the adapted network are not finite; lower adapt.lr_weights"
    assert f"episodes 0, 1, 2, 3 of glyphs: {says}" in metanas("evaluate", "-q", run).line
    assert not (run / "result.json").exists()
    support = done.example / "support"
    assert says in metanas("adapt", run, "--support", support, "--out", tmp_path / "out").line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("keys", [["meta.non_finite=ignore"], ["meta.skips=-1"]])
def test_a_policy_that_does_not_exist_is_refused(tiny: Tiny, keys: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"meta\.(non_finite|skips)"):
        tiny(*keys)
