"""Methods that search nothing, from meta-training to the network that is handed out."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from metanas.config import Experiment
from metanas.evaluate.accuracy import accuracies
from metanas.run import build_data
from metanas.run.adapt import adapt
from metanas.run.directory import RunDirectory
from metanas.run.evaluate import evaluate
from metanas.run.meta_train import meta_train
from metanas.run.restore import restore
from tasks.episode import stack

MEANS = ["adapt.steps=0", "adapt.child_steps=0", "adapt.classifier=means"]
LEARNERS = {
    "maml": ["space.kind=conv4"],
    "protonet": ["space.kind=resnet12", "meta.gradient=prototypes", *MEANS],
    "cosines": ["space.kind=resnet8_maps", "space.width=4", "meta.gradient=cosine_prototypes", *MEANS],
    "relation": ["space.kind=conv4", "meta.gradient=relation", *MEANS],
}


@pytest.fixture(scope="module", params=LEARNERS, ids=LEARNERS)
def fixed(
    request: pytest.FixtureRequest, tiny: Callable[..., Experiment], tmp_path_factory: pytest.TempPathFactory
) -> RunDirectory:
    """A trained and evaluated run of a fixed architecture."""
    directory = RunDirectory(tmp_path_factory.mktemp("fixed") / request.param)
    experiment = tiny(*LEARNERS[request.param])
    meta_train(experiment, directory, quiet=True)
    evaluate(directory, experiment, quiet=True)
    return directory


class TestFixedArchitecture:
    def test_only_methods_without_a_cell_are_compared(self, fixed: RunDirectory) -> None:
        result = json.loads(fixed.result.read_text())
        means = [] if fixed.experiment().adapt.classifier == "means" else ["class_means"]
        assert list(result["baselines"]) == [
            "child_tuned",
            *means,
            "refined_means",
            "balanced_means",
            "nearest_neighbour",
        ]
        assert result["baselines"]["child_tuned"]["title"].startswith("fixed architecture, ")
        assert (result["architecture"], result["distinct_genotypes"], result["decode_gap"]) == ("fixed", None, None)
        assert result["genotypes"] == []
        assert all(0 <= result[key] <= 1 for key in ("accuracy", "accuracy_inductive"))
        assert min(result["params"], result["macs"], result["adapt_seconds_median"]) > 0

    def test_no_picture_of_a_cell_is_drawn(self, fixed: RunDirectory) -> None:
        assert not list(fixed.path.rglob("*.svg"))
        assert not (fixed.path / "arch.json").exists()
        assert json.loads((fixed.path / "genotype.json").read_text()) == {"genotype": []}

    def test_the_report_says_so(self, fixed: RunDirectory) -> None:
        text = (fixed.path / "report.html").read_text()
        assert "meta-learning with a fixed architecture on glyphs" in text
        assert "Meta-learned prior" not in text
        assert "Example cells" not in text

    def test_the_headline_is_the_network_that_is_deployed(self, fixed: RunDirectory) -> None:
        bench, state, *_ = restore(fixed, fixed.experiment())
        episodes = build_data.episodes(bench.experiment, build_data.dataset(bench.experiment.data), "test")
        episode = stack([episodes[i] for i in range(4)])
        objective, params = bench.deploy(bench.problem(state.learner.params, episode.support, bench.spec.n_way))
        found = accuracies(objective, params, episode, transductive=False)
        assert sum(found) / 4 == pytest.approx(json.loads(fixed.result.read_text())["accuracy_inductive"])

    def test_a_network_is_handed_out_for_fewer_classes(self, fixed: RunDirectory, done, tmp_path: Path) -> None:
        support = tmp_path / "support"
        for folder in sorted((done.example / "support").iterdir())[:3]:
            (support / folder.name).parent.mkdir(exist_ok=True)
            (support / folder.name).symlink_to(folder)
        found = adapt(fixed, fixed.experiment(), support, None, tmp_path / "out")
        written = {entry.name for entry in (tmp_path / "out").iterdir()}
        assert written == {"genotype.json", "weights.safetensors", "predictions.csv"}
        weights = load_file(tmp_path / "out" / "weights.safetensors")
        assert {len(w) for name, w in weights.items() if name in ("head.weight", "head.classes")} == {3}
        assert sum(w.numel() for w in weights.values()) == found.cost.params
        with (tmp_path / "out" / "predictions.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 3
        for row in rows:
            assert sum(float(v) for k, v in row.items() if k.startswith("p(")) == pytest.approx(1, abs=5e-6)

    def test_a_second_run_ends_with_the_same_bits(self, fixed: RunDirectory, outcome, tmp_path: Path) -> None:
        again = RunDirectory(tmp_path / "again")
        meta_train(fixed.experiment(), again, quiet=True)
        first, second = outcome(again), outcome(fixed)
        first.pop("rows"), second.pop("rows")  # the first run was evaluated too
        assert first == second


def test_class_means_know_the_support_by_heart(copied: RunDirectory) -> None:
    """One shot: each support image is its own class mean."""
    bench, state, *_ = restore(copied, copied.experiment(["adapt.classifier=means"]))
    episode = stack([build_data.episodes(bench.experiment, build_data.dataset(bench.experiment.data), "test")[0]])
    objective, params = bench.deploy(bench.problem(state.learner.params, episode.support, bench.spec.n_way))
    assert torch.equal(objective.logits(params, episode.support.x).argmax(-1), episode.support.y)


class TestStrategies:
    """Of a searched space, chosen after meta-training."""

    @pytest.mark.parametrize(
        ("overrides", "rows", "architecture"),
        [
            (
                ["adapt.strategy=prior"],
                ["child_tuned", "random_child", "class_means", "refined_means", "balanced_means", "nearest_neighbour"],
                "searched",
            ),
            (
                ["adapt.strategy=random"],
                ["child_tuned", "prior_child", "class_means", "refined_means", "balanced_means", "nearest_neighbour"],
                "searched",
            ),
            (
                ["adapt.strategy=uniform", "adapt.deploy=supernet"],
                [
                    "supernet",
                    "prior_child",
                    "random_child",
                    "class_means",
                    "refined_means",
                    "balanced_means",
                    "nearest_neighbour",
                ],
                "uniform",
            ),
        ],
    )
    def test_each_is_compared_with_what_it_is_not(
        self, overrides: list[str], rows: list[str], architecture: str, copied: RunDirectory
    ) -> None:
        result = evaluate(copied, copied.experiment(overrides), quiet=True)
        assert list(result["baselines"]) == rows  # type: ignore[call-overload]
        headline = result["baselines"]["supernet" if architecture == "uniform" else "child_tuned"]  # type: ignore[index]
        assert (result["architecture"], result["accuracy"]) == (architecture, headline["accuracy"])
        assert bool(result["genotypes"]) == (architecture == "searched")
        assert len(list((copied.path / "cells").glob("task-*.svg"))) == len(result["genotypes"])  # type: ignore[arg-type]

    def test_the_prior_deployed_is_the_control_of_the_search(self, copied: RunDirectory, done) -> None:
        """One cell for all tasks, with as many support steps."""
        result = evaluate(copied, copied.experiment(["adapt.strategy=prior"]), quiet=True)
        control = done.result["baselines"]["prior_child"]
        shared = ("accuracy", "ci95", "accuracy_inductive", "params", "macs")
        assert {key: result[key] for key in shared} == {key: control[key] for key in shared}
        assert result["distinct_genotypes"] == 1

    def test_class_means_deployed_are_their_row(self, copied: RunDirectory, done) -> None:
        result = evaluate(copied, copied.experiment(["adapt.classifier=means"]), quiet=True)
        row = done.result["baselines"]["class_means"]
        shared = ("accuracy", "ci95", "accuracy_inductive", "params", "macs")
        assert {key: result[key] for key in shared} == {key: row[key] for key in shared}
        assert "class_means" not in result["baselines"]  # type: ignore[operator]

    def test_a_uniform_supernet_is_handed_out_with_equal_logits(
        self, copied: RunDirectory, done, tmp_path: Path
    ) -> None:
        experiment = copied.experiment(["adapt.strategy=uniform", "adapt.deploy=supernet"])
        adapt(copied, experiment, done.example / "support", None, tmp_path / "out")
        weights = load_file(tmp_path / "out" / "weights.safetensors")
        assert not any(weights[name].any() for name in ("arch.normal", "arch.reduction"))
        description = json.loads((tmp_path / "out" / "genotype.json").read_text())
        assert (description["strategy"], description["genotype"], description["cells"]) == ("uniform", None, {})
        assert not (tmp_path / "out" / "cell.svg").exists()  # all operations are no cell


class TestRefusals:
    """Each in one line with exit code 2, and nothing is written."""

    @pytest.mark.parametrize(
        ("overrides", "words"),
        [
            (
                ["meta.gradient=prototypes"],
                "expected adapt.steps=0 adapt.child_steps=0 adapt.classifier=means, got 1, 1 and trained",
            ),
            (["meta.gradient=relation", *MEANS[:2]], "got 0, 0 and trained; set these three too"),
            (["adapt.strategy=uniform"], "leaves no child to hand out; expected adapt.deploy=supernet, got child"),
            (["adapt.strategy=prior", "adapt.deploy=supernet"], "expected adapt.deploy=child, got supernet"),
            (["space.kind=conv4", "adapt.strategy=random"], "space.kind=conv4 has nothing to decide"),
            (["space.genotype=[0, 1, 2, 0, 1]"], "a genotype of this space has 6 choices, got 5"),
            (["space.genotype=[0, 1, 2, 0, 1, 9]"], "reduction/0/second_op has options 0..6"),
            (
                ["space.genotype=[0, 1, 2, 0, 1, 2]", "adapt.strategy=prior"],
                "1, 2] has nothing to decide",
            ),
            (["space.kind=conv4", "adapt.deploy=supernet"], "got gradient and supernet"),
            (["space.kind=conv4", "data.resolution=12"], "at least 16x16, got 12x12; raise data.resolution"),
            (["space.kind=resnet12", "meta.gradient=relation", *MEANS], "at least 4x4, got 1x1; raise data.resolution"),
        ],
    )
    def test_what_does_not_go_together(
        self, overrides: list[str], words: str, metanas, tiny_overrides: list[str], tmp_path: Path
    ) -> None:
        assert words in metanas("meta-train", "--out", tmp_path / "run", *tiny_overrides, *overrides).line
        assert list(tmp_path.iterdir()) == []
