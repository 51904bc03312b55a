"""The report of a run, written anew from what its directory holds."""

from pathlib import Path

from metanas.evaluate.report import write_report
from metanas.evaluate.search_report import write_search_report
from metanas.run.directory import RunDirectory


def report(directory: RunDirectory) -> Path:
    """Writes report.html and returns its path; raises `RunError` where there is no run."""
    return (write_search_report if directory.is_search else write_report)(directory.path)
