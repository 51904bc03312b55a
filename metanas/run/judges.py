"""The episodes that judge a run: those of one split of every data set, the same for whoever is judged."""

from typing import NamedTuple

from metanas.config import Experiment
from metanas.run import build_data
from metanas.run.directory import RunDirectory
from metanas.run.seen import check_unseen
from metanas.run.workbench import Workbench
from tasks.episode import Episodes
from tasks.split import SplitName


class Judge(NamedTuple):
    """The episodes of one data set."""

    dataset: str
    """What the data set calls itself."""
    episodes: Episodes


def judges(directory: RunDirectory, experiment: Experiment, bench: Workbench, split: SplitName) -> dict[str, Judge]:
    """By source: those of `evaluate.sources`, or without any those of meta-training.

    Raises:
        DataError: images are missing, or classes that `split` holds out have been seen by the run in `directory`, or by
            one that it began from.
    """
    found: dict[str, Judge] = {}
    for source in experiment.evaluate.sources or experiment.data.sources:
        data = build_data.dataset(experiment.data.of(source)).to(bench.device)
        check_unseen(directory, data, split)
        found[source] = Judge(data.name, build_data.episodes(experiment, data, split))
    return found
