import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from metanas.track import FanOut, Jsonl, Tracker, read_rows
from metanas.track.wandb import Wandb

CONFIG = {"seed": 0, "meta": {"inner": {"steps": 5}}}


def inspect(segment: Path) -> list[dict[str, Any]]:
    command = [str(Path(sys.executable).with_name("wandb")), "leet", "inspect", "--json", str(segment)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    return [json.loads(line) for line in lines]


def of(records: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record[kind] for record in records if record["type"] == kind]


def segments(run_dir: Path) -> list[Path]:
    return sorted((run_dir / "wandb").glob("offline-run-*"))


def test_an_offline_run_is_complete_in_its_directory(home: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    environment = dict(os.environ)
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "a.json").write_text("[1]")
    (tmp_path / "genotype.json").write_text("[0, 2]")
    picture = tmp_path / "curve.png"
    Image.new("RGB", (4, 3)).save(picture)

    tracker = Wandb(run_dir, "metanas", "test", "offline", CONFIG)
    assert isinstance(tracker, Tracker)
    tracker.log({"meta/iter": 1, "meta/outer_loss": 2.0})
    tracker.log({"meta/iter": 2, "meta/outer_loss": float("nan")})
    tracker.log({"eval/episode": 1, "eval/acc": 0.5})
    tracker.image("cells/normal", picture, 2)
    tracker.artifact("checkpoint", "checkpoint", tmp_path / "checkpoint", ("latest", "best"))
    tracker.artifact("genotype", "genotype", tmp_path / "genotype.json", ("latest",))
    tracker.finish(0)

    (segment,) = segments(run_dir)
    records = inspect(segment)
    rows = [history["item"] for history in of(records, "history")]
    assert [row.get("meta/outer_loss") for row in rows] == [2, "NaN", None, None]
    assert [row.get("meta/iter") for row in rows] == [1, 2, None, 2]
    assert rows[2]["eval/episode"] == 1
    assert (segment / "files" / rows[3]["cells/normal.path"]).read_bytes() == picture.read_bytes()
    steps = {metric.get("glob_name") or metric["name"]: metric.get("step_metric") for metric in of(records, "metric")}
    assert steps == {"meta/iter": None, "eval/episode": None, "*": "meta/iter", "eval/acc": "eval/episode"}
    artifacts = {artifact["name"]: artifact for artifact in of(records, "artifact")}
    assert sorted(artifacts["checkpoint"]["aliases"]) == ["best", "latest"]
    for name, size in (("checkpoint", 3), ("genotype", 6)):
        (entry,) = artifacts[name]["manifest"]["contents"]
        staged = Path(entry["local_path"])
        assert staged.is_relative_to(run_dir)
        assert staged.stat().st_size == size
    (run,) = of(records, "run")
    assert run["config"]["update"]["meta"] == {"inner": {"steps": 5}}
    assert of(records, "exit")[0].get("exit_code", 0) == 0
    assert list(home.rglob("*")) == []
    assert dict(os.environ) == environment


def test_a_second_segment_continues_under_the_same_id(home: Path, tmp_path: Path) -> None:
    for iteration in (1, 2):
        tracker = Wandb(tmp_path, "metanas", "test", "offline", CONFIG)
        tracker.log({"meta/iter": iteration})
        tracker.finish(iteration - 1)
    first, second = segments(tmp_path)
    identity = (tmp_path / "wandb_id").read_text().strip()
    assert first.name.endswith(f"-{identity}")
    records = inspect(second)
    (run,) = of(records, "run")
    assert (run["run_id"], run["resume"]) == (identity, True)
    assert [history["item"]["meta/iter"] for history in of(records, "history")] == [2]


def test_online_without_a_key_warns_once_and_goes_offline(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.WARNING):
        tracker = Wandb(tmp_path, "metanas", "test", "online", CONFIG)
        tracker.log({"meta/iter": 1})
        tracker.finish(0)
    (record,) = caplog.records
    assert "no key" in record.getMessage()
    assert "recorded offline" in record.getMessage()
    assert len(segments(tmp_path)) == 1
    assert list(home.rglob("*")) == []
    assert capfd.readouterr() == ("", "")


def test_a_copy_that_breaks_later_does_not_reach_the_run(
    home: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = Wandb(tmp_path, "metanas", "test", "offline", CONFIG)
    tracker = FanOut([Jsonl(tmp_path / "metrics.jsonl", 0), copy])
    tracker.log({"meta/iter": 1})
    copy.finish(1)
    with caplog.at_level(logging.WARNING):
        for iteration in (2, 3):
            tracker.log({"meta/iter": iteration})
        tracker.finish(0)
    assert len([record for record in caplog.records if "Wandb failed" in record.getMessage()]) == 1
    assert [row["meta/iter"] for row in read_rows(tmp_path / "metrics.jsonl")] == [1, 2, 3]
