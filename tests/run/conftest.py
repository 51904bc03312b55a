"""Tiny runs: trained once a session, copied for whoever changes one."""

import json
import os
import runpy
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from typer.testing import CliRunner

from metanas.cli import app
from metanas.config import Experiment
from metanas.config_file import load_experiment
from metanas.run.demo import write_example
from metanas.run.directory import RunDirectory
from metanas.run.evaluate import Result, evaluate
from metanas.run.meta_train import meta_train
from metanas.track.jsonl import read_rows

from ..conftest import write_cifar10

ROOT = Path(__file__).parents[2]

TINY = [
    "space.width=2",
    "space.nodes=1",
    "data.resolution=16",
    "task.n_query=1",
    "meta.tasks=2",
    "meta.iterations=4",
    "meta.validate_every=2",
    "meta.validate_episodes=2",
    "inner.steps=1",
    "relax.kind=straight_through",
    "relax.temperature_start=1",
    "relax.temperature_end=0",
    "relax.ramp=0.5",
    "evaluate.episodes=4",
    "evaluate.n_query=2",
    "evaluate.timed=1",
    "adapt.steps=1",
    "adapt.child_steps=1",
    "track.every=1",
    "track.wandb.mode=disabled",
    "threads=1",
]

TIMES = ("meta/tasks_per_s",)
"""Keys of metrics.jsonl that differ between two equal runs."""


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The glyphs are drawn once in a session, by whichever of its processes comes first."""
    base = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("METANAS_CACHE", str((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "glyphs"))
        yield


@pytest.fixture(autouse=True)
def _denormals() -> Iterator[None]:
    """A run flushes denormal numbers to zero in the whole process."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task for single-task search: three classes of eight grey pictures, which a network can tell apart."""
    root = tmp_path_factory.mktemp("data") / "pictures"
    rng = torch.Generator().manual_seed(0)
    for i, name in enumerate("abc"):
        (root / name).mkdir(parents=True)
        for j in range(8):
            pixels = torch.randint(80 * (i + 1), (16, 16), generator=rng).byte().numpy()
            Image.fromarray(pixels).save(root / name / f"{j}.png")
    return root


@pytest.fixture(scope="session")
def searched_on(pictures: Path) -> list[str]:
    """The smallest search there is: three steps an epoch on the `pictures`."""
    return [
        *["data.source=folder", f"data.root={pictures}", "data.resolution=16", "data.channels=1"],
        *["data.rotations=false", "images.classes=all", "images.batch=4", "start=null", "device=cpu", "threads=1"],
        *["space.kind=fewshot", "space.width=2", "space.nodes=1", "space.cells=null", "search.warmup=0"],
        *["search.epochs=2", "search.hessian_every=1", "track.wandb.mode=disabled"],
    ]


@pytest.fixture(scope="session")
def made_cifar10(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data directory with a CIFAR-10 of 40 training and 20 test images, checksums and all."""
    root, rng = tmp_path_factory.mktemp("data"), torch.Generator().manual_seed(0)
    pixels = {
        part: torch.randint(256, (n, 3, 32, 32), generator=rng).byte() for part, n in (("train", 40), ("test", 20))
    }
    with pytest.MonkeyPatch.context() as patch:
        write_cifar10(root, pixels, patch)
        yield root


@pytest.fixture(scope="session")
def retrained_on(made_cifar10: Path) -> list[str]:
    """The smallest training from scratch there is: two steps an epoch on `made_cifar10`."""
    return [
        *["data.source=cifar10", f"data.root={made_cifar10}", "data.resolution=32", "data.channels=3"],
        *["images.per_class=2", "images.batch=10", "network.width=2", "network.cells=3", "retrain.epochs=1"],
        *["device=cpu", "threads=1", "track.wandb.mode=disabled"],
    ]


@pytest.fixture(scope="session")
def tiny() -> Callable[..., Experiment]:
    """The smallest experiment there is, with some overrides."""
    return lambda *overrides: load_experiment(None, [*TINY, *overrides])


@pytest.fixture(scope="session")
def tiny_overrides() -> list[str]:
    return TINY


@dataclass(frozen=True)
class Done:
    """A run that was trained and evaluated, with an episode as folders."""

    directory: RunDirectory
    experiment: Experiment
    result: Result
    example: Path

    @property
    def path(self) -> Path:
        return self.directory.path


@pytest.fixture(scope="session")
def done(tiny: Callable[..., Experiment], tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A run that no test may change."""
    directory = RunDirectory(tmp_path_factory.mktemp("runs") / "done")
    meta_train(tiny(), directory, quiet=True)
    result = evaluate(directory, tiny(), quiet=True)
    write_example(tiny(), directory.path / "example")
    return Done(directory, tiny(), result, directory.path / "example")


@pytest.fixture
def copied(done: Done, tmp_path: Path) -> RunDirectory:
    """The run `done`, to be changed."""
    shutil.copytree(done.path, tmp_path / "copied")
    return RunDirectory(tmp_path / "copied")


@dataclass(frozen=True)
class Said:
    """What a verb printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The only line of a refusal."""
        assert self.code == 2, (self.code, self.out, self.err)
        assert self.out == ""
        (line,) = self.err.splitlines()
        assert line.startswith("metanas: ")
        return line


@pytest.fixture(scope="session")
def metanas() -> Callable[..., Said]:
    """The command line, in this process."""

    def call(*arguments: object) -> Said:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    return call


@pytest.fixture
def script(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """A file of scripts/, in this process, as it is typed."""

    def call(name: str, *arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        try:
            runpy.run_path(str(ROOT / "scripts" / name), run_name="__main__")
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return call


def flat(value: object, prefix: str = "") -> dict[str, object]:
    """Nested dictionaries as one, tensors as their bytes."""
    if isinstance(value, dict):
        return {k: v for key, part in value.items() for k, v in flat(part, f"{prefix}/{key}").items()}
    return {prefix: (value.dtype, value.numpy().tobytes()) if isinstance(value, Tensor) else value}


@pytest.fixture(scope="session")
def outcome() -> Callable[..., dict[str, object]]:
    """All that two equal runs have in common: every number of their checkpoints and of metrics.jsonl, and the prior."""

    def read(directory: RunDirectory) -> dict[str, object]:
        names = [name for name in ("last", "best") if directory.checkpoints.has(name)]
        states = {name: directory.checkpoints.load(name) for name in names}
        rows = [{k: v for k, v in row.items() if k not in TIMES} for row in read_rows(directory.metrics)]
        assert any("params/weights" in state for state in states.values())
        for state in states.values():
            del state["seconds"]
            del state["window"]  # empty at the end, and full of seconds before
        prior = json.loads((directory.path / "genotype.json").read_text())
        return flat(states) | {"rows": rows, "prior": prior}

    return read
