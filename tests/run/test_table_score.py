"""A search on NAS-Bench-201: the table scores what was found, after the search and without a part in it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from metanas.config_file import load_search
from metanas.estimators.compact import FILE, ROWS
from metanas.run.directory import RunDirectory
from metanas.run.search import search
from metanas.spaces.nas_bench_201 import NasBench201
from metanas.track.jsonl import read_rows

SMALL = ["space.kind=nas_bench_201", "space.nodes=3", "space.cells=1", "search.epochs=1", "search.hessian_every=0"]
DATA = ("cifar10", "cifar100", "imagenet16")


@pytest.fixture(scope="module")
def table(invented: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a table of invented accuracies."""
    path = tmp_path_factory.mktemp("data") / FILE
    path.parent.mkdir()
    np.savez(path, **invented)  # type: ignore[arg-type]
    return path


def test_a_found_cell_is_scored_by_its_own_row(
    metanas, table: Path, invented: dict[str, np.ndarray], searched_on: list[str], tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("METANAS_DATA", str(table.parents[1]))
    run = tmp_path / "run"
    said = metanas("search", "-q", "--out", run, *searched_on, *SMALL)
    assert said.code == 0, said.err
    result = json.loads((run / "result.json").read_text())
    score = result["nas_bench_201"]
    assert score["arch"] == NasBench201().write(tuple(result["genotype"]))
    row = int((invented["arch"] == score["arch"]).argmax())
    page = (run / "report.html").read_text()
    for name in DATA:
        tests, found = invented[f"{name}_test_200"], score["data"][name]
        assert found["accuracy_test"] == pytest.approx(tests[row] / 100)
        assert found["accuracy_valid"] == pytest.approx(invented[f"{name}_valid_12"][row] / 100)
        assert found["accuracy_best"] == pytest.approx(tests.max() / 100)
        assert found["accuracy_random"] == pytest.approx(tests.mean() / 100)
        assert found["accuracy_copied"] == {
            other: pytest.approx(tests[invented[f"{other}_test_200"].argmax()] / 100) for other in DATA if other != name
        }
        assert found["rank"] == 1 + (tests > tests[row]).sum()
        assert f"NAS-Bench-201, {name}: test {tests[row]:.2f} %, rank {found['rank']:,} of {ROWS:,}" in said.out
        assert f"{tests[row]:.2f} %" in page
        course = [invented["arch"].tolist().index(arch) for arch in preferred(run)]
        assert found["accuracy_course"] == [pytest.approx(tests[place] / 100) for place in course]
    assert len(course) == 2  # before the search, and after its epoch
    assert course[-1] == row
    assert "rank by test" in page
    assert "copied from" in page


def preferred(run: Path) -> list[str]:
    """The architectures that the recorded probabilities prefer, before the search and after every epoch."""
    (course,) = json.loads((run / "arch.json").read_text())["history"].values()
    return [NasBench201().write(tuple(max(range(5), key=edge.__getitem__) for edge in table)) for table in course]


def test_searches_are_compared_by_what_their_cells_are_worth(
    metanas, table: Path, searched_on: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METANAS_DATA", str(table.parents[1]))
    for seed in (0, 1):
        assert metanas("search", "-q", "--out", tmp_path / f"{seed}", *searched_on, *SMALL, f"seed={seed}").code == 0
    assert metanas("report", tmp_path / "0", "--beside", tmp_path / "1").code == 0
    page = (tmp_path / "0" / "report.html").read_text()
    assert "true accuracy against cost" in page
    assert "found cell, trained from scratch" in page


def test_the_search_does_not_see_the_table(table: Path, searched_on: list[str], tmp_path: Path, monkeypatch) -> None:
    """With it and without it every number is the same but for the score."""
    results = []
    for name, root in (("with", table.parents[1]), ("without", tmp_path)):
        monkeypatch.setenv("METANAS_DATA", str(root))
        directory = RunDirectory(tmp_path / name)
        result = search(load_search(None, [*searched_on, *SMALL]), directory, quiet=True)
        score = result.pop("nas_bench_201")
        assert isinstance(score, dict)
        assert ("data" in score, "missing" in score) == (name == "with", name == "without")
        del result["seconds"]
        rows = [{k: v for k, v in row.items() if k != "search/seconds"} for row in read_rows(directory.metrics)]
        results.append((result, rows))
    assert results[0] == results[1]


@pytest.mark.parametrize("is_set", [True, False])
def test_without_the_table_one_line_says_how_to_get_it(
    metanas: Callable, searched_on: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_set: bool
) -> None:
    monkeypatch.delenv("METANAS_DATA", raising=False)
    if is_set:
        monkeypatch.setenv("METANAS_DATA", str(tmp_path))
    said = metanas("search", "-q", "--out", tmp_path / "run", *searched_on, *SMALL)
    assert said.code == 0, said.err
    (line,) = [line for line in said.out.splitlines() if line.startswith("NAS-Bench-201: ")]
    assert f"{tmp_path if is_set else 'DIR'}/{FILE}" in line
    assert ("set METANAS_DATA=DIR" in line) != is_set
    assert "metanas.estimators.archive" in (tmp_path / "run" / "report.html").read_text()


def test_a_damaged_table_is_refused_before_the_search(
    metanas, searched_on: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_bytes(b"half")
    monkeypatch.setenv("METANAS_DATA", str(tmp_path))
    said = metanas("search", "-q", "--out", tmp_path / "run", *searched_on, *SMALL)
    assert "is damaged" in said.line
    assert not (tmp_path / "run").exists()
