"""What it takes to stop a run and continue it: its configuration, and its last checkpoint."""

import logging
from collections.abc import Mapping, Sequence

import torch

from metanas.config_file import AnyExperiment, changes
from metanas.errors import RunError
from metanas.run.directory import RunDirectory

log = logging.getLogger(__name__)


def check_directory(
    experiment: AnyExperiment, directory: RunDirectory, *, resume: bool, harmless: Sequence[str]
) -> None:
    """Raises `RunError` where there is a run already, or with `resume` none, or one of another configuration.

    Args:
        experiment: the configuration asked for.
        directory: of the run.
        resume: whether a run is to be continued.
        harmless: parts of the configuration that change no bit of the result, and may differ.
    """
    if not resume:
        directory.check_free()
    else:
        found = changes(directory.same_kind(experiment), experiment)
        changed = [f"{k}: {before} -> {now}" for k, (before, now) in found.items() if k.split(".")[0] not in harmless]
        if changed:
            raise RunError(
                f"{directory.path} is a run of another configuration ({'; '.join(changed)}); "
                "resume with its own, or choose another --out"
            )


def saved(directory: RunDirectory) -> dict[str, object] | None:
    """The last checkpoint; None, with a warning, for a run that was stopped before its first one."""
    if not any(map(directory.checkpoints.has, ("last", "prev"))):
        log.warning("%s was stopped before its first checkpoint: starting again at iteration 0", directory.path)
        return None
    plain = directory.checkpoints.load("last")
    if plain.get("torch") != str(torch.__version__):
        log.warning(
            "torch was %s and is now %s: the continued run is not bit-exact", plain.get("torch"), torch.__version__
        )
    return plain


def save(directory: RunDirectory, name: str, plain: Mapping[str, object]) -> None:
    """Writes a checkpoint; a full disk ends the run, the previous checkpoint intact."""
    try:
        directory.checkpoints.save(name, plain)
    except OSError as error:
        raise RunError(
            f"checkpoint {name} cannot be written to {directory.path}: {error.strerror or error}; "
            "make room and continue with --resume"
        ) from error
