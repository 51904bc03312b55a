"""The transfer matrix: its entries are the networks that it names, on a run of two data sets."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from metanas.config import Experiment
from metanas.run.directory import RunDirectory
from metanas.run.evaluate import evaluate
from metanas.run.judges import judges
from metanas.run.meta_train import meta_train
from metanas.run.restore import restore
from metanas.run.transfer import TITLES, Traveller, described, transfer
from metanas.spaces.fewshot import FewShot

COLOURS = ["data.source=cifar_fs", "data.channels=3", "data.mix=[glyphs]", "task.n_query=1", "evaluate.n_query=2"]
SOFT = ["relax.kind=softmax", "relax.temperature_start=1", "relax.temperature_end=1"]
SOURCES = ["cifar_fs", "glyphs"]
MOVING = ["adapt.lr_arch=300", "adapt.steps=2"]
"""Logits that move so far that tasks choose unlike cells."""


@pytest.fixture
def run(small_cifar: Path, tiny: Callable[..., Experiment], tmp_path: Path) -> tuple[RunDirectory, list[str]]:
    """A run on two data sets, and how it is asked for its data."""
    directory, root = RunDirectory(tmp_path / "mixed"), f"data.root={small_cifar}"
    meta_train(tiny(*COLOURS, *SOFT, root), directory, quiet=True)
    return directory, [root]


def test_the_own_cell_of_a_fixed_choice_is_the_child_of_an_evaluation(run: tuple[RunDirectory, list[str]]) -> None:
    """Without a step on the logits all tasks choose the prior's cell: every row but the random one is one number, or
    two, as its weights were adapted in the cell or in the supernet.
    """
    directory, more = run
    experiment = directory.experiment([*more, "adapt.lr_arch=0", "evaluate.episodes=5", "evaluate.chunk=2"])
    result, judged = transfer(directory, experiment, quiet=True), evaluate(directory, experiment, quiet=True)
    rows = {**result["matrix"], **result["controls"]}
    assert list(rows) == [*SOURCES, *TITLES]
    for source in SOURCES:
        wanted = judged["sources"][source]
        for name in (*SOURCES, "own", "modal", "prior"):
            assert rows[name][source]["accuracy"] == wanted["prior_child"]["accuracy"]
        for name, row in (
            ("deployed", "child_tuned"),
            ("resting", "child_tuned"),
            ("resting", "resting_child"),
            ("random", "random_child"),
        ):
            entry = rows[name][source]
            assert (entry["accuracy"], entry["ci95"]) == (wanted[row]["accuracy"], wanted[row]["ci95"])
        assert result["cells"][source]["distinct"] == 1
        assert result["cells"][source]["modal_share"] == 1


def test_rows_are_where_cells_come_from_and_columns_whose_tasks_they_solve(
    run: tuple[RunDirectory, list[str]],
) -> None:
    directory, more = run
    experiment = directory.experiment([*more, *MOVING, "evaluate.episodes=6", "evaluate.chunk=3"])
    result = transfer(directory, experiment, quiet=True)
    restored = restore(directory, experiment)
    found = judges(directory, experiment, restored.bench, "test")
    traveller = Traveller(restored.bench, restored.state.learner.params, {k: j.episodes for k, j in found.items()})
    chosen = {source: traveller.chosen(source, 0, 6) for source in SOURCES}
    assert {source: len(set(cells)) for source, cells in chosen.items()} == {
        source: result["cells"][source]["distinct"] for source in SOURCES
    }
    assert len(set(chosen["glyphs"])) > 1
    for judged in SOURCES:
        for origin in SOURCES:
            cells = chosen[origin][1:] + chosen[origin][:1] if origin == judged else chosen[origin]
            scores = []
            for first in (0, 3):
                given = {"given": cells[first : first + 3]}
                scores += traveller.scores(judged, first, first + 3, given)["given"]
            entry = result["matrix"][origin][judged]
            assert entry["accuracy"] == pytest.approx(sum(scores) / 6)
            home = result["matrix"][judged][judged]["accuracy"]
            assert entry["difference"] == pytest.approx(entry["accuracy"] - home)
    for source in SOURCES:
        assert result["matrix"][source][source]["difference_ci95"] == 0
    deployed = evaluate(directory, experiment, quiet=True)["sources"]
    for source in SOURCES:
        assert result["controls"]["deployed"][source]["accuracy"] == deployed[source]["child_tuned"]["accuracy"]


def test_the_number_of_threads_changes_nothing(run: tuple[RunDirectory, list[str]]) -> None:
    directory, more = run
    one, two = (
        transfer(directory, directory.experiment([*more, *MOVING, "evaluate.chunk=1", f"threads={n}"]), quiet=True)
        for n in (1, 2)
    )
    assert one == two


def test_shares_of_operations_are_of_the_chosen_edges() -> None:
    space = FewShot(width=2, nodes=1)
    n_options = [len(decision.options) for decision in space.decisions]
    first, second = tuple(0 for _ in n_options), tuple(n - 1 for n in n_options)
    found = described(space, [first, first, first, second])
    assert (found["distinct"], found["modal"], found["modal_share"]) == (2, list(first), 0.75)
    assert sum(found["operations"].values()) == pytest.approx(1)
    gates = [space.encode(genotype) for genotype in (first, second)]
    for kind, table in found["edges"].items():
        wanted = 0.75 * gates[0][kind] + 0.25 * gates[1][kind]
        assert table == [pytest.approx(row) for row in wanted.tolist()]


def test_the_verb_writes_a_file_and_a_part_of_the_report(run: tuple[RunDirectory, list[str]], metanas) -> None:
    directory, more = run
    said = metanas("transfer", directory.path, "-q", *more)
    assert (said.code, said.err) == (0, "")
    result = json.loads((directory.path / "transfer.json").read_text())
    assert result["sources"] == SOURCES
    assert "cells of cifar_fs" in said.out
    assert "5-way 1-shot, 4 episodes of each data set (test classes)" in said.out
    report = (directory.path / "report.html").read_text()
    assert "<h2>Transfer between data sets</h2>" in report
    assert "points above the diagonal in the same episodes" in report


class TestRefusals:
    """Each in one line with exit code 2."""

    def test_a_single_data_set(self, done, metanas) -> None:
        line = metanas("transfer", done.path).line
        assert "needs at least two data sets, got glyphs; name them in evaluate.sources" in line

    @pytest.mark.parametrize("keys", [["adapt.strategy=prior"], ["adapt.strategy=uniform", "adapt.deploy=supernet"]])
    def test_tasks_that_choose_nothing(self, run: tuple[RunDirectory, list[str]], metanas, keys: list[str]) -> None:
        directory, more = run
        line = metanas("transfer", directory.path, *more, *keys).line
        assert "a transfer is of cells that tasks chose" in line
        assert keys[0].split("=")[1] in line

    def test_a_supernet_that_is_handed_out(self, run: tuple[RunDirectory, list[str]], metanas) -> None:
        directory, more = run
        line = metanas("transfer", directory.path, *more, "adapt.deploy=supernet").line
        assert "expected adapt.deploy=child, got supernet" in line

    def test_a_fixed_network(self, tiny: Callable[..., Experiment], metanas, tmp_path: Path) -> None:
        directory = RunDirectory(tmp_path / "run")
        meta_train(tiny("space.kind=conv4", "inner.lr_arch=0", "outer.lr_arch=0"), directory, quiet=True)
        line = metanas("transfer", directory.path, "evaluate.sources=[glyphs,omniglot]").line
        assert "got space.kind=conv4 and gradient" in line

    def test_a_directory_without_a_run(self, metanas, tmp_path: Path) -> None:
        assert "is not a run directory" in metanas("transfer", tmp_path).line
