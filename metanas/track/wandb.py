"""A copy of the run in W&B: complete inside the run directory, and sent live, later, or never.

Three habits of the service shape this file. It stages artifact bytes and its settings in the home directory,
unless three environment variables say otherwise at every call. It counts its own steps, which start again at
zero after a resume, so rows bring their position (`meta/iter` or `eval/episode`) and the run's step is never
read. And a run keeps its history over several processes only when every one of them opens it with the same id
and `resume="allow"`; the id lies in the run directory. `import wandb` below is the library, since imports
here are absolute.
"""

import logging
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from metanas.track.tracker import EVAL_STEP, TRAIN_STEP, Row

if TYPE_CHECKING:
    from wandb.sdk.wandb_run import Run

_log = logging.getLogger(__name__)

_INIT_SECONDS = 20
"""How long an online start may take before the run goes on offline."""

_FINISH_SECONDS = 300
"""How long the last upload may take; what is left can be synchronised from the run directory."""

_DIRECTORIES = ("data", "cache", "config")


class Wandb:
    """Mirrors a run to W&B.

    Args:
        run_dir: everything is written below `run_dir/wandb`, the id of the run in `run_dir/wandb_id`.
        project: the W&B project.
        name: the name shown there.
        mode: "online" falls back to offline, with one warning, without a key or a route.
        config: the resolved configuration; nested mappings are fine.
        position: the key of the position of every row but those of an evaluation.
    """

    def __init__(
        self,
        run_dir: Path,
        project: str,
        name: str,
        mode: Literal["offline", "online"],
        config: Mapping[str, object],
        position: str = TRAIN_STEP,
    ) -> None:
        """Open a segment of the run, offline when online is impossible."""
        self._dir = run_dir.resolve()
        self._defined: set[str] = set()
        self._position = position
        identity = _identity(self._dir / "wandb_id")
        with _inside(self._dir):
            try:
                self._run = _open(self._dir, project, name, mode, identity, config)
            except _refusals() as error:
                if mode == "offline":
                    raise
                reason = " ".join(str(error).split())
                _log.warning("W&B cannot be reached (%s); the run is recorded offline, sync it later", reason)
                self._run = _open(self._dir, project, name, "offline", identity, config)
            for step in (position, EVAL_STEP):
                self._run.define_metric(step)
            self._run.define_metric("*", step_metric=position)

    def log(self, row: Row) -> None:
        """Record one row under its own position."""
        with _inside(self._dir):
            if EVAL_STEP in row:
                # By name: which of two matching patterns wins would be left to chance.
                for name in row.keys() - self._defined - {EVAL_STEP}:
                    self._run.define_metric(name, step_metric=EVAL_STEP)
                    self._defined.add(name)
            self._run.log(dict(row))

    def image(self, name: str, path: Path, iteration: int) -> None:
        """Record a picture beside the iteration."""
        import wandb

        with _inside(self._dir):
            self._run.log({name: wandb.Image(str(path)), self._position: iteration})

    def artifact(self, name: str, kind: str, path: Path, aliases: tuple[str, ...]) -> None:
        """Record a file or a directory; the bytes are copied, so the path may change later."""
        import wandb

        with _inside(self._dir):
            artifact = wandb.Artifact(name, type=kind)
            if path.is_dir():
                artifact.add_dir(str(path))
            else:
                artifact.add_file(str(path))
            self._run.log_artifact(artifact, aliases=list(aliases))

    def finish(self, exit_code: int) -> None:
        """End the segment and W&B's own process."""
        import wandb

        with _inside(self._dir):
            self._run.finish(exit_code=exit_code)
            wandb.teardown(exit_code)


def _open(
    run_dir: Path,
    project: str,
    name: str,
    mode: Literal["offline", "online"],
    identity: str,
    config: Mapping[str, object],
) -> "Run":
    import wandb

    wandb.setup(wandb.Settings(silent=True))
    if mode == "online" and not wandb.login(prompt=False):
        raise wandb.errors.UsageError("no key; run `wandb login` or set WANDB_API_KEY")
    return wandb.init(
        dir=run_dir,
        project=project,
        name=name,
        id=identity,
        mode=mode,
        resume="allow",
        config=dict(config),
        settings=wandb.Settings(silent=True, console="off", init_timeout=_INIT_SECONDS, finish_timeout=_FINISH_SECONDS),
    )


def _refusals() -> tuple[type[Exception], ...]:
    """What W&B raises without a key (usage), or without a route or a right (communication)."""
    from wandb.errors import CommError, UsageError

    return UsageError, CommError


def _identity(path: Path) -> str:
    """The id of this run, made once and kept in a file."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(secrets.token_hex(4) + "\n", encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()


@contextmanager
def _inside(run_dir: Path) -> Iterator[None]:
    """Point W&B's directories into the run directory during a call, then restore the environment."""
    wanted = {f"WANDB_{name.upper()}_DIR": str(run_dir / "wandb" / name) for name in _DIRECTORIES}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
