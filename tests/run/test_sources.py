"""Runs on several data sets: each is judged, and so are data sets that no run has seen."""

import json
import math
from pathlib import Path

import pytest

from metanas.run.directory import RunDirectory
from metanas.track.jsonl import read_rows

COLOURS = ["data.source=cifar_fs", "data.channels=3", "task.n_query=1", "evaluate.n_query=2"]


@pytest.fixture
def mixed(small_cifar: Path, monkeypatch: pytest.MonkeyPatch, metanas, tiny_overrides: list[str], tmp_path: Path):
    monkeypatch.setenv("METANAS_DATA", str(small_cifar))
    run = tmp_path / "run"
    said = metanas("meta-train", "-q", "--out", run, *tiny_overrides, *COLOURS, "data.mix=[glyphs]")
    assert said.code == 0, said.err
    return run


def test_every_data_set_is_judged_and_their_mean(mixed: Path, metanas) -> None:
    judged = metanas("evaluate", "-q", mixed)
    assert judged.code == 0, judged.err
    assert "8 episodes of cifar_fs + glyphs (test classes)" in judged.out
    assert "deployed, on cifar_fs" in judged.out
    assert "deployed, on glyphs" in judged.out
    result = json.loads((mixed / "result.json").read_text())
    parts = [part["child_tuned"] for part in result["sources"].values()]
    assert list(result["sources"]) == ["cifar_fs", "glyphs"]
    assert result["accuracy"] == pytest.approx(sum(part["accuracy"] for part in parts) / 2)
    assert result["ci95"] == pytest.approx(math.hypot(*(part["ci95"] for part in parts)) / 2)
    assert [part["episodes"] for part in parts] == [4, 4]
    assert "each; the headline is their mean" in (mixed / "report.html").read_text()


def test_validation_sees_every_data_set(mixed: Path) -> None:
    rows = [row for row in read_rows(RunDirectory(mixed).metrics) if "validation/acc" in row]
    assert rows
    for row in rows:
        each = [row["validation/acc/cifar_fs"], row["validation/acc/glyphs"]]
        assert row["validation/acc"] == pytest.approx(sum(each) / 2)


def test_a_data_set_that_was_never_trained_on_is_judged(mixed: Path, metanas) -> None:
    judged = metanas("evaluate", "-q", mixed, "data.mix=[]", "evaluate.sources=[glyphs]")
    assert judged.code == 0, judged.err
    assert "4 episodes of glyphs (test classes)" in judged.out
    assert "sources" not in json.loads((mixed / "result.json").read_text())


@pytest.mark.parametrize("sources", ["[fc200]", "[glyphs, glyphs]"])
def test_a_wrong_list_of_data_sets_is_refused(metanas, tmp_path: Path, sources: str) -> None:
    line = metanas("meta-train", "--out", tmp_path / "run", f"evaluate.sources={sources}").line
    assert "evaluate.sources names data sets, each once, of glyphs, omniglot, " in line
