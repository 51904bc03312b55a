"""The README's commands as written, each shrunk to a moment by overrides."""

import os
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from metanas.cli import app

from .conftest import TINY

ROOT = Path(__file__).parents[2]
LINE = re.compile(r"^metanas .*$", re.MULTILINE)


def commands() -> list[list[str]]:
    """Every `metanas` line of the README's shell blocks, without its comment."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    return [shlex.split(line, comments=True)[1:] for block in blocks for line in LINE.findall(block)]


def test_the_readme_has_its_commands() -> None:
    verbs = {"meta-train", "search", "retrain", "report", "evaluate", "transfer", "adapt"}
    assert {words[0] for words in commands()} == verbs
    assert len(commands()) == 12


@pytest.mark.timeout(600)  # thirteen commands, one after another
def test_the_commands_work_in_their_order(
    searched_on: list[str], retrained_on: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    demo = runner.invoke(app, ["demo", "-q", *TINY])
    assert demo.exit_code == 0, demo.output
    data = os.environ.get("METANAS_DATA")
    for words in commands():
        if words[0] == "retrain":
            words = [*words[:-1], *retrained_on]  # not the real images, wherever they are
        if not data and ("data.root=DATA" in words or "runs/cross" in words):
            continue
        words = [word.replace("=DATA", f"={data}") for word in words]
        # Omniglot has 20 pictures a class and is 28 pixels wide in its cache; the tiny sizes fit it too.
        shrunk = [*words, *TINY[:-2], "threads=1"] if words[0] == "meta-train" else words
        if words[0] == "search":
            shrunk = [*words, *searched_on, "search.epochs=1"]
        if any(word.startswith("track.wandb.mode") for word in words):
            shrunk = [word for word in shrunk if word != "track.wandb.mode=disabled"]
        found = runner.invoke(app, shrunk)
        assert found.exit_code == 0, (shrunk, found.output)


def test_make_targets_and_scripts_of_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\S+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    for script in re.findall(r"sh (scripts/\S+\.sh)", text):
        assert (ROOT / script).is_file()
    for path in re.findall(r"`((?:docs|configs)/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path
