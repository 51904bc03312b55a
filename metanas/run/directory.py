"""A run directory: where everything about one run lies, and who may write there.

config.yaml    the resolved configuration          checkpoint/   last, prev, best, manifest.json
env.json       versions, threads, command line     result.json   what the evaluation found
metrics.jsonl  what was measured while training    report.html   all of it for people
classes.json   the classes of training             genotype.json, arch.json, cells/  what the prior prefers
"""

import fcntl
import json
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from metanas.atomic import write_atomically
from metanas.checkpoint import Checkpoints
from metanas.config import Experiment
from metanas.config.exploration import Exploration
from metanas.config.retrain import RetrainExperiment
from metanas.config.search import SearchExperiment
from metanas.config_file import AnyExperiment, dump_experiment, load_any, load_experiment
from metanas.errors import ConfigError, RunError

CHANGEABLE = {"adapt", "data", "device", "evaluate", "threads", "track"}
"""Parts of a configuration that evaluation and adaptation may override."""

KINDS: dict[type, str] = {
    Experiment: "a meta-trained run",
    SearchExperiment: "a single-task search",
    RetrainExperiment: "a training from scratch",
    Exploration: "an exploration",
}
"""What a run directory can hold, as messages call it."""

Kind = TypeVar("Kind", bound=AnyExperiment)


class RunDirectory:
    """The files of one run.

    Raises `RunError` where something is missing or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.metrics = path / "metrics.jsonl"
        self.result = path / "result.json"
        self.checkpoints = Checkpoints(path / "checkpoint")

    @property
    def exists(self) -> bool:
        """Whether a run was started here."""
        return self.config.is_file()

    @contextmanager
    def begun(self, experiment: AnyExperiment, *, resume: bool) -> Iterator[None]:
        """Holds the run for this process; a new one, without `resume`, gets its directory and what defines it first.

        Raises `RunError` where another process writes here, or has begun a run here in the meantime.
        """
        if not resume:
            with self._written():
                self.path.mkdir(parents=True, exist_ok=True)
        with self.locked():
            if not resume:
                self.check_free()  # also of a run that has begun, and ended, since anybody looked
                with self._written():
                    write_atomically(self.config, dump_experiment(experiment).encode())
            yield

    def check_free(self) -> None:
        """Raises `RunError` where there is a run already."""
        if self.exists:
            raise RunError(f"{self.path} holds a run already; continue it with --resume or choose another --out")

    def experiment(self, overrides: Sequence[str] = ()) -> Experiment:
        """The configuration of this run, with `overrides` of what may differ after meta-training."""
        self._expect(Experiment)
        for item in overrides:
            if item.split("=")[0].split(".")[0] not in CHANGEABLE:
                raise ConfigError(
                    f"{item!r} cannot change after meta-training; expected one of {', '.join(sorted(CHANGEABLE))}"
                )
        return load_experiment(self.config, list(overrides))

    def searched(self) -> SearchExperiment:
        """The configuration of this run, which is a single-task search."""
        return self._expect(SearchExperiment)

    def same_kind(self, experiment: Kind) -> Kind:
        """The configuration of this run, which is expected to be of the kind of `experiment`."""
        return self._expect(type(experiment))

    def defined(self) -> AnyExperiment:
        """The configuration of this run, of whatever kind."""
        if not self.exists:
            raise RunError(f"{self.path} is not a run directory: expected config.yaml in it; meta-train a run first")
        return load_any(self.config, [])

    def _expect(self, kind: type[Kind]) -> Kind:
        found = self.defined()
        if not isinstance(found, kind):
            raise RunError(
                f"{self.path}: expected {KINDS[kind]}, got {KINDS[type(found)]}; give the directory of another run"
            )
        return found

    def write_json(self, name: str, content: Mapping[str, object]) -> Path:
        """Writes `content` as the file `name`, atomically."""
        path = self.path / name
        write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())
        return path

    def write_environment(self, extra: Mapping[str, object]) -> None:
        """Records versions, machine and command line in env.json."""
        import torch

        self.write_json(
            "env.json",
            {
                "python": platform.python_version(),
                "torch": str(torch.__version__),
                "platform": platform.platform(),
                "cores": os.cpu_count(),
                "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
                "commit": _commit(),
                "argv": sys.argv,
                **extra,
            },
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the run for this process; raises `RunError` that names the holder when another one writes here."""
        with self._written():
            file = open(self.path / "lock", "a+", encoding="utf-8")  # noqa: SIM115 - held until the run ends
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                file.seek(0)
                raise RunError(
                    f"the run {self.path} is being written by {file.read().strip() or 'another process'}; "
                    "wait for it, stop it, or choose another directory with --out"
                ) from error
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
            yield  # the file stays: a lock that is removed while held can be held twice

    @contextmanager
    def _written(self) -> Iterator[None]:
        """Turns what keeps a file from being written into a `RunError`."""
        try:
            yield
        except OSError as error:
            raise RunError(
                f"the run directory {self.path} cannot be written: {error.strerror}; choose another one with --out"
            ) from error


def _commit() -> str | None:
    """The checked-out commit of the package's repository, where there is one."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
