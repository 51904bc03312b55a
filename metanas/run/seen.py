"""Which classes a run has seen, and that nobody judges it by them: classes.json in its directory."""

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from metanas.config import Experiment
from metanas.errors import RunError
from metanas.run.build_data import divided
from metanas.run.directory import RunDirectory
from tasks.catalogue import CARDS
from tasks.dataset import Dataset
from tasks.errors import DataError
from tasks.split import HELD_OUT, SplitName, refuse_seen

FILE = "classes.json"
"""Its name: the names of the training classes by source."""

_LOG = logging.getLogger(__name__)


def record(directory: RunDirectory, experiment: Experiment, data: Sequence[Dataset]) -> None:
    """Writes down which classes of `data`, one for each source of the experiment, are trained on."""
    seen = {name: part.split.train for name, part in zip(experiment.data.sources, data, strict=True)}
    directory.write_json(FILE, seen)


def check_same(directory: RunDirectory, experiment: Experiment, data: Sequence[Dataset]) -> None:
    """Raises `DataError` where `data` is no longer divided as when the run in `directory` began, as a folder may be.

    Of a run that has no record, as older ones, nobody knows.
    """
    before = _seen(directory) if (directory.path / FILE).is_file() else {}
    for name, part in zip(experiment.data.sources, data, strict=True):
        changed = sorted(set(before.get(name, part.split.train)) ^ set(part.split.train))
        if changed:
            raise DataError(
                f"the training classes of {part.name} are others than when the run {directory.path} began, first "
                f"{changed[0]!r}: its images have changed; put them back, or begin a new run"
            )


def check_unseen(directory: RunDirectory | None, found: Dataset, *splits: SplitName) -> None:
    """Raises `DataError` where `splits` of `found` hold out what the run in `directory`, or one that it began from, has
    been trained on, perhaps as part of another data set. Training classes may be seen; None has seen nothing."""
    for split in splits:
        if split in HELD_OUT:
            for run in _lineage(directory):
                for name, learned in _seen(run).items():
                    refuse_seen(learned, name, found.split[split], f"the {split} classes of {found.name}")


def _lineage(directory: RunDirectory | None) -> Iterator[RunDirectory]:
    """The run, and those that its weights have gone through before, each once, as far as they are still there."""
    known: set[Path] = set()  # a run that was made anew may have begun from one that began from it
    while directory is not None and directory.path.resolve() not in known:
        known.add(directory.path.resolve())
        if not directory.exists:
            _LOG.warning("start=%s is gone: nobody can tell on which classes it was trained", directory.path)
            return
        yield directory
        directory = began_from(directory.experiment())


def began_from(experiment: Experiment) -> RunDirectory | None:
    """The run whose weights this one begins with; None where they are drawn."""
    return None if experiment.start is None else RunDirectory(Path(experiment.start))


def _seen(directory: RunDirectory) -> dict[str, Sequence[str]]:
    """The training classes of a run by source; of runs that have no record, those of the published lists."""
    path = directory.path / FILE
    if path.is_file():
        try:
            found = json.loads(path.read_bytes())
            return {str(name): [str(label) for label in labels] for name, labels in found.items()}
        except (AttributeError, OSError, TypeError, ValueError) as error:
            raise RunError(f"expected lists of classes in {path}, got {error}; restore it") from error
    data = directory.experiment().data
    published = {name: split() for name in data.sources if (split := CARDS[name].split) is not None}
    return {name: divided(split, data).train for name, split in published.items()}
