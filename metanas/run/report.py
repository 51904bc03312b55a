"""The report of a run, written anew from what its directory holds."""

from pathlib import Path

from metanas.config import SearchExperiment
from metanas.config.exploration import Exploration
from metanas.errors import RunError
from metanas.evaluate.report import write_report
from metanas.evaluate.search_report import write_search_report
from metanas.run.directory import RunDirectory


def report(directory: RunDirectory) -> Path:
    """Writes report.html and returns its path; raises `RunError` where there is no run."""
    if directory.exists and directory.kind is Exploration:
        raise RunError(
            f"{directory.path} is an exploration, which has no page: expected a meta-trained run or a search; its "
            "scores are in metrics.jsonl, the best cell in result.json"
        )
    is_search = directory.exists and directory.kind is SearchExperiment
    return (write_search_report if is_search else write_report)(directory.path)
