import html
import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from metanas.config import Experiment
from metanas.config.judging import METHODS
from metanas.errors import CheckpointError, ConfigError
from metanas.evaluate.accuracy import accuracies
from metanas.evaluate.interval import interval
from metanas.run import build_data
from metanas.run.comparison import TITLES, Comparison, Examiner
from metanas.run.directory import RunDirectory
from metanas.run.evaluate import Result, evaluate
from metanas.run.interrupt import Interrupted
from metanas.run.meta_train import meta_train
from metanas.run.restore import restore
from metanas.run.workbench import Workbench
from metanas.spaces.cost import Cost, cost
from metanas.track.jsonl import read_rows
from tasks.episode import Stack, stack

WITHOUT_NOISE = tuple(name for name in TITLES if name not in ("drawn_cells", "resting_child"))
"""Of straight-through gates without noise: a search with resting logits has no other way than `prior_child`."""
SECONDS = ("adapt_seconds_median", "meta_seconds", "seconds_median")


def timeless(result: Result) -> Result:
    baselines = result["baselines"]
    assert isinstance(baselines, dict)
    plain = {name: {k: v for k, v in score.items() if k not in SECONDS} for name, score in baselines.items()}
    return {k: v for k, v in result.items() if k not in SECONDS} | {"baselines": plain}


def test_the_result_has_every_documented_key(done) -> None:
    assert json.loads((done.path / "result.json").read_text()) == done.result
    expected = {
        "mode": "transductive",
        "architecture": "searched",
        "strategy": "gradient",
        "deployed": "child",
        "headline": "child_tuned",
        "overrides": [],
        "classifier": "trained",
        "reference": 0,
        "background": 0,
        "views": [],
        "episodes": 4,
        "n_way": 5,
        "k_shot": 1,
        "n_query": 2,
        "varied": False,
        "dataset": "glyphs",
        "split": "test",
        "adapt_steps": 1,
        "child_steps": 1,
        "posterior_entropy": None,
        "start": None,
        "start_seconds": None,
        "checkpoint": "best",
        "seed": 0,
        "device": "cpu",
        "threads": 1,
        "meta_iterations": done.directory.checkpoints.load("best")["iteration"],
    }
    assert {key: done.result[key] for key in expected} == expected
    numbers = {
        "accuracy",
        "ci95",
        "accuracy_inductive",
        "ci95_inductive",
        "decode_gap",
        "changed_entries",
        *SECONDS[:2],
    }
    assert all(isinstance(done.result[key], float) for key in numbers)
    assert all(isinstance(done.result[key], int) for key in ("params", "macs", "distinct_genotypes"))
    assert done.result.keys() == expected.keys() | numbers | {"params", "macs", "distinct_genotypes"} | {
        "baselines",
        "genotypes",
    }


def test_every_method_is_scored(done) -> None:
    assert tuple(done.result["baselines"]) == WITHOUT_NOISE
    for name, score in done.result["baselines"].items():
        assert 0 <= score["accuracy"] <= 1
        assert score["ci95"] >= 0
        if name in ("refined_means", "balanced_means", "nearest_neighbour"):
            assert score["accuracy_inductive"] is None
        else:
            assert 0 <= score["accuracy_inductive"] <= 1
            assert score["episodes"] == done.experiment.evaluate.episodes
            assert score["adapt_seconds_median"] > 0
            assert score["params"] > 0
            assert score["macs"] > 0


def test_the_headline_is_the_network_that_is_handed_out(done) -> None:
    tuned = done.result["baselines"]["child_tuned"]
    shared = ("accuracy", "ci95", "episodes", "params", "macs", "adapt_seconds_median", "distinct_genotypes")
    assert [done.result[key] for key in shared] == [tuned[key] for key in shared]


def test_with_hard_gates_decoding_costs_nothing(done) -> None:
    supernet, child = (done.result["baselines"][name] for name in ("supernet", "child"))
    assert done.result["decode_gap"] == 0
    assert supernet["accuracy"] == child["accuracy"]
    assert supernet["accuracy_inductive"] == child["accuracy_inductive"]
    assert child["params"] < supernet["params"]
    assert child["macs"] < supernet["macs"]


def test_the_genotypes_are_counted(done) -> None:
    prior = json.loads((done.path / "genotype.json").read_text())["genotype"]
    changed = [
        sum(a != b for a, b in zip(entry["genotype"], prior, strict=True)) * entry["episodes"]
        for entry in done.result["genotypes"]
    ]
    assert done.result["changed_entries"] == pytest.approx(sum(changed) / 4)
    counts = [entry["episodes"] for entry in done.result["genotypes"]]
    assert sum(counts) == 4
    assert counts == sorted(counts, reverse=True)
    assert len(counts) == done.result["distinct_genotypes"]
    assert len(list((done.path / "cells").glob("task-*.svg"))) == len(counts)


def test_a_second_evaluation_finds_the_same(copied: RunDirectory, done) -> None:
    assert timeless(evaluate(copied, done.experiment, quiet=True)) == timeless(done.result)


def test_the_number_of_threads_changes_nothing_but_the_time(copied: RunDirectory) -> None:
    found = [
        timeless(
            evaluate(
                copied, copied.experiment([f"threads={threads}", "evaluate.chunk=1", "evaluate.episodes=2"]), quiet=True
            )
        )
        for threads in (1, 2)
    ]
    assert found[0] == found[1] | {"threads": 1}


def test_overrides_of_the_evaluation_are_honoured(copied: RunDirectory, metanas, done) -> None:
    said = metanas(
        "evaluate",
        copied.path,
        "--split=validation",
        "-q",
        *["evaluate.episodes=3", "evaluate.n_query=1", "evaluate.checkpoint=last", "evaluate.chunk=2"],
        *["adapt.deploy=supernet", "adapt.lr_arch=0", "adapt.steps=2"],
    )
    assert (said.code, said.err) == (0, "")
    assert "3 episodes of glyphs (validation classes)" in said.out
    assert f"report: {copied.path / 'report.html'}" in said.out
    result = json.loads(copied.result.read_text())
    expected = {
        "split": "validation",
        "episodes": 3,
        "n_query": 1,
        "checkpoint": "last",
        "meta_iterations": 4,
        "deployed": "supernet",
        "headline": "supernet",
        "adapt_steps": 2,
        "distinct_genotypes": 1,  # nothing moves the logits
        "changed_entries": 0,
    }
    assert {key: result[key] for key in expected} == expected
    assert result["accuracy"] == result["baselines"]["supernet"]["accuracy"]
    assert result["params"] == result["baselines"]["supernet"]["params"]
    assert copied.experiment() == done.experiment


def test_an_evaluation_is_a_row_of_the_metrics(done) -> None:
    (row,) = [row for row in read_rows(done.directory.metrics) if "eval/episode" in row]
    assert row["eval/episode"] == 4
    assert row["eval/glyphs/accuracy"] == done.result["accuracy"]


def test_validation_scores_what_an_evaluation_of_the_same_episodes_scores(
    copied: RunDirectory, done, tiny: Callable[..., Experiment]
) -> None:
    experiment = copied.experiment(["evaluate.episodes=2", "evaluate.checkpoint=last"])
    result = evaluate(copied, experiment, split="validation", quiet=True)
    validated = [row["validation/acc"] for row in read_rows(copied.metrics) if "validation/acc" in row]
    assert result["accuracy"] == validated[-1]


def test_training_classes_are_judged_in_the_shape_that_is_reported(copied: RunDirectory) -> None:
    """By as many query images as validation and test classes are, not by those of meta-training."""
    asked = ["evaluate.k_shot=2", "evaluate.n_query=3", "evaluate.n_way=3"]
    experiment = copied.experiment(asked)
    data = build_data.dataset(experiment.data)
    episode = build_data.episodes(experiment, data, "train")[0]
    assert (len(episode.support.y), len(episode.query.y)) == (6, 9)
    result = evaluate(copied, experiment, split="train", quiet=True)
    assert (result["n_way"], result["k_shot"], result["n_query"]) == (3, 2, 3)
    (shown,) = build_data.training(experiment, [data]).stacks(range(1))
    assert (shown.n_way, shown.episode.query.y.shape) == (5, (1, 5))


def test_a_control_of_a_supernet_takes_as_many_steps_as_the_supernet(copied: RunDirectory) -> None:
    """Those of a child are none of its headline's."""
    steps = ["adapt.deploy=supernet", "adapt.steps=2", "evaluate.methods=[prior_child]", "evaluate.episodes=2"]
    found, expected = (
        evaluate(copied, copied.experiment([*steps, f"adapt.child_steps={n}"]), quiet=True)["baselines"] for n in (3, 0)
    )
    assert found["prior_child"]["accuracy"] == expected["prior_child"]["accuracy"]  # type: ignore[index]
    child = copied.experiment([*steps[1:], "adapt.child_steps=3"])
    assert (child.adapt.deployed_steps, copied.experiment(steps).adapt.deployed_steps) == (5, 2)


def test_the_seconds_of_meta_training_are_all_of_them(copied: RunDirectory, done) -> None:
    """And not those until the checkpoint that validation chose."""
    last = copied.checkpoints.load("last")
    result = evaluate(copied, copied.experiment(["evaluate.methods=[child]", "evaluate.episodes=2"]), quiet=True)
    assert result["meta_seconds"] == last["seconds"]
    for name in ("last", "prev"):
        (copied.path / "checkpoint" / f"{name}.pt").unlink(missing_ok=True)
    few = ["evaluate.methods=[child]", "evaluate.episodes=2", "data.root=/somewhere/a=b"]
    result = evaluate(copied, copied.experiment(few), quiet=True)  # of the best one alone
    assert result["meta_seconds"] == copied.checkpoints.load("best")["seconds"]
    assert "data.root=/somewhere/a=b" in result["overrides"]  # type: ignore[operator]


def test_an_evaluation_says_how_to_repeat_it(copied: RunDirectory, metanas) -> None:
    asked = ["--split", "train", "evaluate.k_shot=2", "evaluate.methods=[child]", "adapt.lr_arch=0.5"]
    assert metanas("evaluate", "-q", copied.path, *asked).code == 0
    text = html.unescape((copied.path / "report.html").read_text())
    assert f"metanas evaluate {copied.path} --split train adapt.lr_arch=0.5 evaluate.k_shot=2" in text
    assert "'evaluate.methods=[child]'" in text
    assert "(train classes, which it has seen)" in text
    row = [row for row in read_rows(copied.metrics) if "eval/episode" in row][-1]
    assert "eval/glyphs-train-2-shot/accuracy" in row


def test_the_genotype_of_a_run_is_that_of_the_state_that_is_judged(
    tiny: Callable[..., Experiment], tmp_path: Path
) -> None:
    directory = RunDirectory(tmp_path / "run")
    experiment = tiny("outer.lr_arch=1", "meta.validate_every=1", "meta.iterations=5")
    meta_train(experiment, directory, quiet=True)
    written = json.loads((directory.path / "genotype.json").read_text())["genotype"]
    bench, state, name, _ = restore(directory, experiment)
    assert name == "best"
    assert written == list(bench.space.decode(state.learner.params.arch))
    drawn = json.loads((directory.path / "arch.json").read_text())["cells"]
    assert {kind: torch.softmax(logits, -1).tolist() for kind, logits in state.learner.params.arch.items()} == drawn
    last = restore(directory, directory.experiment(["evaluate.checkpoint=last"])).state.learner.params.arch
    assert state.iteration == 5 or bench.space.decode(last) != tuple(written)


def test_too_little_memory_for_a_call_changes_no_score(done, monkeypatch: pytest.MonkeyPatch) -> None:
    """But those of random cells, which are drawn for each call."""
    bench, state, *_ = restore(done.directory, done.experiment)
    episodes = build_data.episodes(done.experiment, build_data.dataset(done.experiment.data), "test")
    start, add = state.learner.params, Comparison.add

    def add_one(self: Comparison, stack: Stack) -> None:
        if len(stack.numbers) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        add(self, stack)

    together = Examiner(bench, start, "glyphs", episodes).scores(0, 3)
    monkeypatch.setattr(Comparison, "add", add_one)
    apart = Examiner(bench, start, "glyphs", episodes).scores(0, 3)
    assert together.keys() == apart.keys()
    for name in together.keys() - {"random_child"}:
        assert together[name].transductive == apart[name].transductive
        assert together[name].genotypes == apart[name].genotypes


def test_the_accuracy_is_the_mean_over_episodes_alone(done) -> None:
    """Tasks that are folded into one call do not see each other."""
    experiment = replace(done.experiment, evaluate=replace(done.experiment.evaluate, checkpoint="best"))
    bench, state, *_ = restore(done.directory, experiment)
    episodes = build_data.episodes(experiment, build_data.dataset(experiment.data), "test")
    alone = []
    for i in range(4):
        episode = stack([episodes[i]])
        objective, params = bench.deploy(bench.problem(state.learner.params, episode.support, bench.spec.n_way))
        alone += accuracies(objective, params, episode, transductive=True)
    assert sum(alone) / 4 == pytest.approx(done.result["accuracy"], abs=0.026)  # rounding may flip one of 40 images


class TestRefusals:
    """Each in one line with exit code 2."""

    @pytest.mark.parametrize("override", ["space.width=4", "task.n_way=3", "meta.tasks=1", "evaluat.episodes=2"])
    def test_what_cannot_change_any_more(self, override: str, done, metanas) -> None:
        line = metanas("evaluate", done.path, override).line
        assert f"'{override}' cannot change after meta-training; expected one of adapt, data" in line

    def test_a_directory_without_a_run(self, metanas, tmp_path: Path) -> None:
        for path in (tmp_path, tmp_path / "missing"):
            assert f"{path} is not a run directory: expected config.yaml" in metanas("evaluate", path).line
        assert list(tmp_path.iterdir()) == []

    def test_a_run_without_a_checkpoint(self, metanas, tiny: Callable[..., Experiment], tmp_path: Path) -> None:
        directory = RunDirectory(tmp_path / "run")
        with directory.begun(tiny(), resume=False):
            pass
        line = metanas("evaluate", directory.path).line
        assert "no checkpoint" in line
        assert "meta-train the run first" in line

    def test_a_damaged_checkpoint(self, metanas, copied: RunDirectory) -> None:
        (copied.path / "checkpoint" / "best.pt").write_bytes(b"x")
        assert "best.pt is damaged" in metanas("evaluate", copied.path).line

    def test_a_damaged_configuration(self, metanas, copied: RunDirectory) -> None:
        copied.config.write_text("seed: [")
        assert str(copied.config) in metanas("evaluate", copied.path).line

    def test_a_configuration_of_another_network(self, copied: RunDirectory) -> None:
        copied.config.write_text(copied.config.read_text().replace("width: 2", "width: 4"))
        with pytest.raises(CheckpointError, match="of another network than the configuration: expected .* of shape"):
            evaluate(copied, copied.experiment(), quiet=True)

    def test_too_few_images_for_the_queries(self, metanas, done) -> None:
        line = metanas("evaluate", done.path, "evaluate.n_query=20").line
        assert "20 images, 1-shot episodes with 20 query images need 21" in line
        assert "lower k_shot or n_query" in line
        assert "(test episodes take n_query from evaluate.n_query)" in line

    def test_a_split_that_does_not_exist(self, metanas, done) -> None:
        said = metanas("evaluate", done.path, "--split=tset")
        assert said.code == 2
        assert "tset" in said.err


def test_without_a_best_checkpoint_the_last_is_used(tiny: Callable[..., Experiment], tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    experiment = tiny("meta.iterations=1", "meta.validate_every=0", "evaluate.episodes=2")
    meta_train(experiment, directory, quiet=True)
    assert evaluate(directory, experiment, quiet=True)["checkpoint"] == "last"


def test_an_interrupted_evaluation_leaves_the_old_result(
    copied: RunDirectory, done, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    score = Comparison.add

    def add(self: Comparison, *arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        score(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Comparison, "add", add)
    with pytest.raises(Interrupted, match="SIGTERM"):
        evaluate(copied, copied.experiment(["evaluate.episodes=3"]), quiet=True)
    assert json.loads(copied.result.read_text()) == done.result


def test_varied_episodes_are_learned_from_and_scored(tiny: Callable[..., Experiment], tmp_path: Path) -> None:
    varied = ["task.varied=true", "task.n_way=4", "task.least_way=2", "task.k_shot=3", "task.most_support=8"]
    experiment = tiny(*varied, "meta.iterations=2", "meta.tasks=3")
    directory = RunDirectory(tmp_path / "run")
    meta_train(experiment, directory, quiet=True)
    result = evaluate(directory, experiment, quiet=True)
    assert result["varied"]
    assert result["episodes"] == 4
    assert "up to 4-way, up to 3-shot" in (directory.path / "report.html").read_text()


def test_a_run_is_judged_with_fewer_ways_and_other_shots(tiny: Callable[..., Experiment], tmp_path: Path) -> None:
    taught = ["meta.gradient=prototypes", "adapt.steps=0", "adapt.child_steps=0", "adapt.classifier=means"]
    experiment = tiny(*taught, "task.n_way=8", "evaluate.n_way=5", "evaluate.k_shot=2", "meta.iterations=2")
    directory = RunDirectory(tmp_path / "run")
    meta_train(experiment, directory, quiet=True)
    result = evaluate(directory, experiment, quiet=True)
    assert (result["n_way"], result["k_shot"]) == (5, 2)
    assert "5-way 2-shot" in (directory.path / "report.html").read_text()
    bench = Workbench.of(experiment)
    sizes = {n_way: cost(bench.net_of(n_way), bench.judged).params for n_way in (5, 8)}
    assert result["baselines"]["supernet"]["params"] == sizes[5] < sizes[8]

    eight = evaluate(directory, directory.experiment(["evaluate.n_way=null", "evaluate.k_shot=null"]), quiet=True)
    assert (eight["n_way"], eight["k_shot"]) == (8, 1)
    with pytest.raises(ConfigError, match="9 classes are more than task.n_way=8"):
        directory.experiment(["evaluate.n_way=9"])


def test_rows_that_nobody_asks_for_are_left_out(copied: RunDirectory, done) -> None:
    result = evaluate(copied, copied.experiment(["evaluate.methods=[prior_child]"]), quiet=True)
    assert list(result["baselines"]) == ["child_tuned", "prior_child"]
    for name, score in result["baselines"].items():
        assert score["accuracy"] == done.result["baselines"][name]["accuracy"]
    assert (result["decode_gap"], result["genotypes"]) == (None, done.result["genotypes"])
    result = evaluate(copied, copied.experiment(["evaluate.methods=[child]", "adapt.deploy=supernet"]), quiet=True)
    assert list(result["baselines"]) == ["supernet", "child", "child_tuned"]


def test_every_row_of_a_comparison_can_be_asked_for() -> None:
    assert tuple(TITLES) == METHODS


def test_differences_are_of_the_same_episodes(copied: RunDirectory) -> None:
    restored = restore(copied, copied.experiment())
    comparison = Comparison(restored.bench, restored.state.learner.params)
    data = build_data.dataset(restored.bench.experiment.data)
    for stack_of_two in build_data.episodes(restored.bench.experiment, data, "test").stacks(range(4)):
        comparison.add(stack_of_two)
    costs = {genotype: Cost(1, 1) for genotype in comparison.genotypes()}
    deployed = comparison.scores["child_tuned"].transductive
    for name, entry in comparison.summary(costs).items():
        each = [a - b for a, b in zip(comparison.scores[name].transductive, deployed, strict=True)]
        assert entry["difference"] == pytest.approx(sum(each) / 4)
        assert entry["difference_ci95"] == interval(each).ci95
        assert entry["difference"] == pytest.approx(entry["accuracy"] - sum(deployed) / 4)


@pytest.mark.parametrize("methods", ["[best]", "[child, child]"])
def test_a_row_that_does_not_exist_is_refused(metanas, done, methods: str) -> None:
    line = metanas("evaluate", done.path, f"evaluate.methods={methods}").line
    assert "evaluate.methods names rows, each once, of supernet, child, " in line
