"""A meta-trained run, back from its directory."""

from typing import NamedTuple

from metanas.config import Experiment
from metanas.run.directory import RunDirectory
from metanas.run.state import Progressed, from_plain
from metanas.run.workbench import Workbench


class Restored(NamedTuple):
    """A meta-trained run, ready to be used."""

    bench: Workbench
    state: Progressed
    checkpoint: str
    """Which checkpoint it is: `best` or `last`."""


def restore(directory: RunDirectory, experiment: Experiment) -> Restored:
    """The checkpoint that the configuration asks for; `last` where no validation chose a best one."""
    name = experiment.evaluate.checkpoint
    if name == "best" and not directory.checkpoints.has("best"):
        name = "last"
    bench = Workbench.of(experiment)
    return Restored(bench, from_plain(directory.checkpoints.load(name), bench.device), name)
