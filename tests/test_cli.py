import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from metanas.cli import app
from metanas.config_file import dump_experiment, load_experiment

VERBS = ["bench", "meta-train", "search", "retrain", "evaluate", "transfer", "adapt", "report", "config", "demo"]
GROUPS = {"data": ["list", "fetch"]}


def test_help_lists_every_verb() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert [verb for verb in [*VERBS, *GROUPS] if f" {verb} " not in result.stdout] == []
    assert {command.name or command.callback.__name__ for command in app.registered_commands} == set(VERBS)
    found = {
        group.name: [command.name for command in group.typer_instance.registered_commands]
        for group in app.registered_groups
    }
    assert found == GROUPS


@pytest.mark.parametrize("verb", [*VERBS, *(f"{group} {verb}" for group in GROUPS for verb in GROUPS[group])])
def test_every_verb_explains_itself(verb: str) -> None:
    result = CliRunner().invoke(app, [*verb.split(), "--help"])
    assert result.exit_code == 0
    assert "Usage: " in result.stdout


@pytest.mark.parametrize("arguments", [["meta-trian"], ["evaluate"], ["adapt", "run"], ["report", "run", "--fast"]])
def test_a_wrong_command_line_exits_with_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Usage: " in result.stderr


def test_a_reader_that_has_seen_enough_is_no_mistake() -> None:
    """As `metanas data list | head -1`."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "metanas.cli", "data", "list"], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.stderr, done.returncode) == (b"", 128 + signal.SIGPIPE)


def test_config_prints_what_can_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "some.yaml").write_text("inner: {steps: 3}\n")
    overrides = ["name=a=b", "relax.kind=softmax", "relax.temperature_start=1", "relax.temperature_end=0.1"]
    result = CliRunner().invoke(app, ["config", "-c", str(tmp_path / "some.yaml"), *overrides])
    assert result.exit_code == 0
    (tmp_path / "printed.yaml").write_text(result.stdout)
    printed = load_experiment(tmp_path / "printed.yaml", [])
    assert printed == load_experiment(tmp_path / "some.yaml", overrides)
    assert (printed.inner.steps, printed.name, printed.relax.kind) == (3, "a=b", "softmax")


def test_config_takes_overrides_without_a_file() -> None:
    result = CliRunner().invoke(app, ["config", "seed=7"])
    assert result.exit_code == 0
    assert result.stdout == dump_experiment(load_experiment(None, ["seed=7"]))


def test_config_refuses_mistakes_like_every_verb() -> None:
    result = CliRunner().invoke(app, ["config", "sed=7"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "metanas: the overrides: Key 'sed' not in 'Experiment'. Did you mean: 'seed'?\n"


def test_a_report_of_nonsense_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        result = CliRunner().invoke(app, ["report", str(path)])
        assert (result.exit_code, result.stdout) == (2, "")
        (line,) = result.stderr.splitlines()
        assert line.startswith(f"metanas: expected a run directory with config.yaml, got none in {path}")
