import json
import math
from pathlib import Path

import pytest

from metanas.errors import RunError
from metanas.track import Jsonl, Tracker, read_rows


def write(path: Path, first: int, last: int, resume_from: int | None) -> None:
    tracker = Jsonl(path, resume_from)
    for i in range(first, last + 1):
        tracker.log({"meta/iter": i, "meta/outer_loss": 1.0 / i})
    tracker.finish(0)


def test_jsonl_is_a_tracker(tmp_path: Path) -> None:
    assert isinstance(Jsonl(tmp_path / "m.jsonl", None), Tracker)


def test_a_row_is_on_disk_when_log_returns(tmp_path: Path) -> None:
    tracker = Jsonl(tmp_path / "run" / "m.jsonl", 0)
    tracker.log({"meta/iter": 1, "note": "ä"})
    assert (tmp_path / "run" / "m.jsonl").read_text() == '{"meta/iter": 1, "note": "\\u00e4"}\n'


def test_a_resumed_file_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole.jsonl", tmp_path / "killed.jsonl"
    write(whole, 1, 20, 0)
    write(killed, 1, 13, 0)
    with killed.open("ab") as file:
        file.write(b'{"meta/iter": 14, "meta/ou')
    write(killed, 11, 20, 10)
    assert killed.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed.jsonl", "whole.jsonl"]


@pytest.mark.parametrize("cut", range(0, 60, 7))
def test_every_cut_of_the_last_line_is_repaired(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "m.jsonl"
    write(path, 1, 3, 0)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - cut])
    write(path, 2, 3, 1)
    assert path.read_bytes() == whole


def test_without_a_checkpoint_every_whole_row_stays(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    write(path, 1, 3, 0)
    Jsonl(path, None).log({"eval/episode": 1, "eval/acc": 0.5})
    Jsonl(path, 2)
    assert [row.get("meta/iter") for row in read_rows(path)] == [1, 2, None]


def test_a_complete_row_without_its_newline_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"meta/iter": 1}')
    Jsonl(path, 1).log({"meta/iter": 2})
    assert [row["meta/iter"] for row in read_rows(path)] == [1, 2]


def test_what_is_not_finite_is_strict_json_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    Jsonl(path, None).log({"a": math.nan, "b": math.inf, "c": -math.inf, "d": "plain"})
    assert json.loads(path.read_text()) == {"a": "NaN", "b": "Infinity", "c": "-Infinity", "d": "plain"}
    (row,) = read_rows(path)
    assert isinstance(row["a"], float)
    assert math.isnan(row["a"])
    assert (row["b"], row["c"], row["d"]) == (math.inf, -math.inf, "plain")


@pytest.mark.parametrize("line", ["garbage\n", "[1]\n"])
def test_damage_before_the_end_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text(line + '{"meta/iter": 1}\n')
    with pytest.raises(RunError, match=r"expected .*JSON object.* line 1"):
        read_rows(path)


def test_a_failed_rewrite_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.jsonl"
    write(path, 1, 3, 0)
    before = path.read_bytes()

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        Jsonl(path, 1)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.jsonl"]
