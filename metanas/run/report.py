"""The report of a run, or of one training with several seeds, written anew from what its directory holds."""

from collections.abc import Sequence
from pathlib import Path

from metanas.config.exploration import Exploration
from metanas.config.retrain import RetrainExperiment
from metanas.config.search import SearchExperiment
from metanas.errors import RunError
from metanas.evaluate.report import write_report
from metanas.evaluate.retrain_report import write_retrain_report
from metanas.evaluate.search_report import write_search_report
from metanas.evaluate.spread_report import write_spread_report
from metanas.evaluate.training_cost import SPREAD
from metanas.run.directory import RunDirectory


def report(directory: RunDirectory, beside: Sequence[RunDirectory] = ()) -> Path:
    """Writes report.html and returns its path.

    Args:
        directory: of the run, or of trainings with several seeds.
        beside: of others, whose accuracy against search cost stands beside it: searches beside a search, trainings from
            scratch (of one seed or several) beside such a training.

    Raises:
        RunError: where there is no run, where it is an exploration, or runs of another kind stand beside it.
    """
    kind = type(directory.defined()) if directory.exists else None
    if kind is Exploration:
        raise RunError(
            f"{directory.path} is an exploration, which has no page: expected a meta-trained run, a search or a "
            "training from scratch; its scores are in metrics.jsonl, the best cell in result.json"
        )
    if kind is SearchExperiment:
        for other in beside:
            other.searched()
        return write_search_report(directory.path, [other.path for other in beside])
    others = [other.path for other in beside]
    if kind is RetrainExperiment:
        return write_retrain_report(directory.path, others)
    if kind is None and (directory.path / SPREAD).is_file():
        return write_spread_report(directory.path, others)
    if beside:
        raise RunError(
            f"{directory.path}: only searches and trainings from scratch are reported beside others; leave --beside out"
        )
    return write_report(directory.path)
