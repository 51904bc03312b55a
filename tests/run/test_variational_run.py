"""A run that learns a prior over architectures, from meta-training to the files of a task."""

import json
import math
from pathlib import Path
from typing import NamedTuple

import pytest

from metanas.config import Experiment
from metanas.config_file import load_experiment
from metanas.run import build_data
from metanas.run.adapt import Adapted, adapt
from metanas.run.comparison import Examiner
from metanas.run.demo import write_example
from metanas.run.directory import RunDirectory
from metanas.run.evaluate import Result, evaluate
from metanas.run.meta_train import meta_train
from metanas.run.restore import restore
from metanas.run.wording import adapted_lines, table
from metanas.spaces.fewshot import PRIMITIVES

BASE = [
    *["meta.gradient=variational", "inner.kl_arch=1", "inner.lr_arch=20", "adapt.samples=2", "adapt.steps=2"],
    *["relax.kind=gumbel_softmax", "relax.temperature_end=0.5", "adapt.cells=3"],
]


class Run(NamedTuple):
    experiment: Experiment
    directory: RunDirectory
    result: Result
    adapted: Adapted
    out: Path


@pytest.fixture(scope="module")
def run(tiny_overrides: list[str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    experiment = load_experiment(None, [*tiny_overrides, *BASE])
    directory = RunDirectory(tmp_path_factory.mktemp("variational") / "run")
    meta_train(experiment, directory, quiet=True)
    result = evaluate(directory, experiment, quiet=True)
    write_example(experiment, directory.path / "example")
    out = directory.path / "adapted"
    adapted = adapt(directory, experiment, directory.path / "example" / "support", None, out)
    return Run(experiment, directory, result, adapted, out)


def test_evaluation_reports_how_open_the_posteriors_are(run: Run) -> None:
    found = run.result["posterior_entropy"]
    assert isinstance(found, float)
    assert 0 < found < math.log(len(PRIMITIVES))
    assert f"posterior entropy {found:.2f} nats an edge" in table(run.result)
    baselines = run.result["baselines"]
    assert isinstance(baselines, dict)
    assert baselines["child_tuned"]["posterior_entropy"] == found
    assert baselines["random_child"]["posterior_entropy"] is None
    assert "posterior entropy an edge" in (run.directory.path / "report.html").read_text(encoding="utf-8")


def test_drawn_cells_predict_together(run: Run) -> None:
    baselines = run.result["baselines"]
    assert isinstance(baselines, dict)
    found = baselines["drawn_cells"]
    assert found["title"] == "mean prediction of cells drawn from the posterior"
    assert (found["episodes"], found["params"]) == (4, None)
    assert 0 <= found["accuracy_inductive"] <= 1
    without = evaluate(run.directory, run.directory.experiment(["adapt.cells=0"]), quiet=True)["baselines"]
    assert isinstance(without, dict)
    assert baselines.keys() - without.keys() == {"drawn_cells"}


def test_the_prior_by_the_way_of_an_own_cell_is_a_search_with_resting_logits(run: Run) -> None:
    """The same steps, gates and draws as an own cell's: what `adapt.lr_arch=0` hands out."""
    baselines = run.result["baselines"]
    assert isinstance(baselines, dict)
    row = baselines["resting_child"]
    experiment = run.directory.experiment(["adapt.lr_arch=0", "evaluate.methods=[child]"])
    expected = evaluate(run.directory, experiment, quiet=True)
    keys = ("accuracy", "ci95", "accuracy_inductive", "ci95_inductive", "params", "macs")
    assert {key: row[key] for key in keys} == {key: expected[key] for key in keys}
    assert row["distinct_genotypes"] == 1
    assert row["difference"] == pytest.approx(row["accuracy"] - baselines["child_tuned"]["accuracy"])


def test_a_posterior_that_is_decided_draws_the_cell_that_is_handed_out(run: Run) -> None:
    restored = restore(run.directory, run.directory.experiment(["adapt.lr_arch=0"]))
    start = restored.state.learner.params
    start = start._replace(arch={kind: 1e6 * logits for kind, logits in start.arch.items()})
    episodes = build_data.episodes(run.experiment, build_data.dataset(run.experiment.data), "test")
    scores = Examiner(restored.bench, start, "glyphs", episodes).scores(0, 4)
    assert scores["drawn_cells"].transductive == scores["child_tuned"].transductive
    assert scores["drawn_cells"].inductive == scores["child_tuned"].inductive
    assert scores["child_tuned"].entropies == pytest.approx([0.0] * 4, abs=1e-6)


def test_a_prior_learns_a_new_data_set_in_a_few_steps(
    tiny_overrides: list[str], small_cifar: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What another run has learned of photographs is the prior of glyphs."""
    monkeypatch.setenv("METANAS_DATA", str(small_cifar))
    coloured = [*tiny_overrides, *BASE, "data.channels=3", "meta.validate_every=0"]
    first, second = RunDirectory(tmp_path / "photographs"), RunDirectory(tmp_path / "moved")
    meta_train(load_experiment(None, [*coloured, "data.source=cifar_fs"]), first, quiet=True)
    meta_train(
        load_experiment(None, [*coloured, f"start={first.path}", "meta.iterations=2", "outer.lr_arch=0.03"]),
        second,
        quiet=True,
    )
    learned, moved = (restore(run, run.experiment()).state.learner.params.arch for run in (first, second))
    steps = [(moved[kind] - logits).abs() for kind, logits in learned.items()]
    assert all(0 < step.max() <= 2 * 0.031 for step in steps)  # Adam's steps are no longer than their size
    result = evaluate(second, second.experiment(), quiet=True)
    assert (result["dataset"], result["deployed"]) == ("glyphs", "child")
    assert isinstance(result["posterior_entropy"], float)


def test_adaptation_writes_the_posterior_of_the_task(run: Run) -> None:
    written = json.loads((run.out / "posterior.json").read_text(encoding="utf-8"))
    assert written["ops"] == list(PRIMITIVES)
    assert len(written["drawn"]) == 3
    for kind, rows in written["cells"].items():
        for row, entropy in zip(rows, written["entropy"][kind], strict=True):
            assert sum(row) == pytest.approx(1, abs=1e-5)
            assert entropy == pytest.approx(-sum(p * math.log(p) for p in row), abs=1e-4)
    assert (run.out / "posterior.png").read_bytes().startswith(b"\x89PNG")
    assert run.adapted.network.posterior is not None
    assert written["mean_entropy"] == run.adapted.network.posterior.mean_entropy()
    said = adapted_lines(run.adapted, run.out)
    assert f"posterior entropy {written['mean_entropy']:.2f} nats an edge" in said
    assert "cell.svg, posterior.json, posterior.png" in said


def test_the_same_task_gets_the_same_posterior(run: Run, tmp_path: Path) -> None:
    support = run.directory.path / "example" / "support"
    adapt(run.directory, run.experiment, support, None, tmp_path / "again")
    assert (tmp_path / "again" / "posterior.json").read_bytes() == (run.out / "posterior.json").read_bytes()


def test_a_prior_that_is_decoded_as_it_is_has_no_posterior(run: Run) -> None:
    experiment = run.directory.experiment(["adapt.strategy=prior"])
    support = run.directory.path / "example" / "support"
    out = run.directory.path / "prior"
    found = adapt(run.directory, experiment, support, None, out)
    assert found.network.posterior is None
    assert not (out / "posterior.json").exists()
    assert "posterior" not in adapted_lines(found, out)
