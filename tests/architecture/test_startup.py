"""`metanas --help` answers at once, because torch is imported inside the commands that need it; it is a module too."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "learn2learn", "higher", "matplotlib", "wandb", "rich")

REPORT = f"print('heavy:', [name for name in {HEAVY!r} if name in __import__('sys').modules])"
HELP = "from metanas.cli import app\napp(['--help'], standalone_mode=False)\n"


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("program", ["import metanas.cli\n", HELP], ids=["import", "help"])
def test_the_command_line_starts_without_torch(program):
    assert run(program + REPORT).splitlines()[-1] == "heavy: []"


def test_an_import_of_torch_would_be_seen():
    assert run("import torch\n" + REPORT).splitlines()[-1] == "heavy: ['torch']"


def test_the_command_line_is_a_module_too():
    done = subprocess.run([sys.executable, "-m", "metanas.cli", "--help"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: ")
