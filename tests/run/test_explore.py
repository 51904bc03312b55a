"""Auto-Meta: cells that are meta-trained, scored, and grown; interrupted at will."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from metanas.config.exploration import Exploration
from metanas.config_file import load_experiment, load_exploration
from metanas.errors import ConfigError, GenotypeError, RunError
from metanas.run import explore as module
from metanas.run.directory import RunDirectory
from metanas.run.explore import explore
from metanas.run.interrupt import Interrupted
from metanas.run.meta_train import meta_train
from metanas.run.report import report
from metanas.track.jsonl import read_rows
from tasks.errors import DataError

Small = Callable[..., Exploration]
SMALL = [
    *["space.width=2", "space.nodes=2", "data.resolution=16", "task.n_query=1", "meta.tasks=2", "meta.iterations=2"],
    *[
        "meta.validate_every=2",
        "meta.validate_episodes=4",
        "evaluate.n_query=2",
        "adapt.steps=1",
        "adapt.child_steps=0",
    ],
    *["explore.first=3", "explore.beam=2", "track.wandb.mode=disabled", "threads=1"],
]


@pytest.fixture(scope="module")
def small() -> Small:
    return lambda *overrides: load_exploration(None, [*SMALL, *overrides])


def rows_of(directory: RunDirectory) -> list[dict]:
    return [{k: v for k, v in row.items() if k != "explore/seconds"} for row in read_rows(directory.metrics)]


@pytest.fixture(scope="module")
def explored(small: Small, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A run that no test may change."""
    directory = RunDirectory(tmp_path_factory.mktemp("runs") / "explored")
    explore(small(), directory, quiet=True)
    return directory


def test_every_cell_has_a_row_and_the_best_one_is_handed_over(explored: RunDirectory) -> None:
    rows, result = rows_of(explored), json.loads((explored.path / "result.json").read_text())
    assert [row["explore/candidate"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["explore/nodes"] for row in rows] == [1, 1, 1, 2, 2]
    scores = [row["explore/score"] for row in rows]
    assert [row["explore/best"] for row in rows] == [max(scores[: i + 1]) for i in range(5)]
    assert result["accuracy_validation"] == max(scores)
    assert result["best_by_nodes"] == [max(scores[:3]), max(scores[3:])]
    top = rows[scores.index(max(scores))]
    assert (result["nodes"], " ".join(map(str, result["genotype"]))) == (top["explore/nodes"], top["explore/genotype"])
    assert "<svg" in (explored.path / "cells" / "found.svg").read_text()


def test_a_score_is_that_of_meta_training_the_cell(explored: RunDirectory, tmp_path: Path) -> None:
    """cell.yaml is the configuration of exactly this."""
    directory = RunDirectory(tmp_path / "cell")
    meta_train(load_experiment(explored.path / "cell.yaml", []), directory, quiet=True)
    (score,) = [row["validation/acc"] for row in read_rows(directory.metrics) if "validation/acc" in row]
    assert score == json.loads((explored.path / "result.json").read_text())["accuracy_validation"]


def test_interrupted_after_every_cell_it_ends_with_the_same_scores(
    small: Small, explored: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = module.estimator

    def estimator(*arguments: object) -> object:
        signal.raise_signal(signal.SIGTERM)
        return score(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "estimator", estimator)
    directory = RunDirectory(tmp_path / "stopped")
    stops = 0
    for _ in range(9):
        try:
            explore(small(), directory, resume=directory.exists, quiet=True)
        except Interrupted:
            stops += 1
            continue
        break
    assert stops == 5
    assert rows_of(directory) == rows_of(explored)
    found, expected = (json.loads((d.path / "result.json").read_text()) for d in (directory, explored))
    assert {**found, "seconds": 0} == {**expected, "seconds": 0}


def test_random_search_spends_as_much(small: Small, tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "random")
    result = explore(small("explore.method=random"), directory, quiet=True)
    assert (result["candidates"], result["method"]) == (5, "random")
    assert {row["explore/nodes"] for row in rows_of(directory)} == {2}


def test_the_verb_explores_where_the_file_says_so(metanas, explored: RunDirectory, tmp_path: Path) -> None:
    said = metanas("search", "-c", explored.config, "explore.first=1", "space.nodes=1", "--out", tmp_path / "run", "-q")
    assert said.code == 0, said.err
    assert f"next: metanas meta-train -c {tmp_path / 'run' / 'cell.yaml'}" in said.out
    assert "explore:" in metanas("config", explored.config).out
    assert "expected a meta-trained run, got an exploration" in metanas("evaluate", explored.path).line


def test_what_cannot_be_is_refused(small: Small, explored: RunDirectory, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds a run already"):
        explore(small(), explored, quiet=True)
    with pytest.raises(RunError, match=r"another configuration \(explore.beam: 2 -> 3\)"):
        explore(small("explore.beam=3"), explored, resume=True, quiet=True)
    with pytest.raises(RunError, match="is an exploration, which has no page"):
        report(explored)
    with pytest.raises(ConfigError, match="an exploration grows cells: expected space.kind of fewshot, darts, metanas"):
        small("space.kind=conv4")
    with pytest.raises(ConfigError, match="have nothing to decide"):
        small("adapt.strategy=prior")
    with pytest.raises(ConfigError, match="space.nodes must be in 1"):
        small("space.nodes=0")
    with pytest.raises(DataError, match="take n_query from task.n_query"):
        explore(small("task.n_query=30"), RunDirectory(tmp_path / "too-many"), quiet=True)
    assert not (tmp_path / "too-many").exists()
    assert small("meta.gradient=reptile", "inner.lr_arch=0").child(1, (0,)).space.is_fixed
    for key, got in {"meta.gradient=variational": "variational and 0", "meta.patience=2": "maml and 2"}.items():
        with pytest.raises(ConfigError, match=f"and are validated once: expected .*, got {got}"):
            small(key, "meta.validate_every=1")
    with pytest.raises(ConfigError, match=r"explore.beam must be in 1..1000000, got 0"):
        small("explore.beam=0")
    wrong = load_experiment(explored.path / "cell.yaml", ["space.nodes=1", "space.genotype=[1,2]"])
    with pytest.raises(GenotypeError, match="a genotype of this space has 6 choices, got 2"):
        meta_train(wrong, RunDirectory(tmp_path), quiet=True)
    assert not list(tmp_path.iterdir())
