"""The report of a run, written anew from what its directory holds."""

from collections.abc import Sequence
from pathlib import Path

from metanas.config.exploration import Exploration
from metanas.config.retrain import RetrainExperiment
from metanas.config.search import SearchExperiment
from metanas.errors import RunError
from metanas.evaluate.report import write_report
from metanas.evaluate.retrain_report import write_retrain_report
from metanas.evaluate.search_report import write_search_report
from metanas.run.directory import RunDirectory


def report(directory: RunDirectory, beside: Sequence[RunDirectory] = ()) -> Path:
    """Writes report.html and returns its path.

    Args:
        directory: of the run.
        beside: of other searches, whose accuracy against cost stands beside that of a search.

    Raises:
        RunError: where there is no run, where it is an exploration, or runs stand beside one that is no search.
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
    if beside:
        raise RunError(f"{directory.path}: only searches are reported beside others; leave --beside out")
    return (write_retrain_report if kind is RetrainExperiment else write_report)(directory.path)
