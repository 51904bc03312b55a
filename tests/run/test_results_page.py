"""The commands of docs/results.md, as a shell reads them: their keys exist, and no run is written over another."""

import re
import subprocess
from pathlib import Path

from metanas.config_file import load_any

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
ECHO = 'set -f; metanas() { printf "%s\\t" "$@"; echo; }; python() { :; }\n'
"""Commands say their words instead of working; brackets name no files."""


def commands() -> list[list[str]]:
    """The words of every `metanas` command, variables and loops resolved."""
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    blocks = [block for block in BLOCK.findall(page) if "..." not in block]
    said = subprocess.run(["bash", "-c", ECHO + "\n".join(blocks)], capture_output=True, text=True, check=True)
    assert said.stderr == ""
    return [line.rstrip("\t").split("\t") for line in said.stdout.splitlines()]


def test_keys_exist_and_no_run_is_written_over_another() -> None:
    trained = [words for words in commands() if words[0] in ("meta-train", "search")]
    assert len(trained) > 40
    directories = []
    for words in trained:
        config = words[words.index("-c") + 1]
        out = [words[words.index("--out") + 1]] if "--out" in words else []
        if config.startswith("configs/"):
            out += [f"runs/{load_any(ROOT / config, [word for word in words if '=' in word]).name}"]
        directories.append(out[0])  # a configuration that another command has written says no name here
    assert sorted({name for name in directories if directories.count(name) > 1}) == []
