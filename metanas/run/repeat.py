"""The same training with several seeds: what its figures scatter by."""

from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import cast

from metanas.config.retrain import RetrainExperiment
from metanas.errors import RunError
from metanas.evaluate.spread_report import write_spread_report
from metanas.evaluate.training_cost import SPREAD
from metanas.run.directory import RunDirectory
from metanas.run.retrain import Result, retrain


def repeat(
    given: str, experiment: RetrainExperiment, path: Path, seeds: int, *, resume: bool = False, quiet: bool = False
) -> Result:
    """Trains with several seeds from `experiment.seed` on, each in `path/seed-N`; writes spread.json and report.html.

    Random cells are drawn anew for each seed. With `resume` finished trainings are kept, and missing ones begun.

    Returns:
        The test errors by seed, their mean, and their standard deviation.

    Raises:
        As `metanas.run.retrain.retrain`, whose arguments these are, but for `seeds`, 2 or more; and RunError where
        `path` holds a training of its own.
    """
    if RunDirectory(path).exists:
        raise RunError(f"{path} holds a run of one seed; give several seeds a directory of their own with --out")
    numbers = range(experiment.seed, experiment.seed + seeds)
    directories = {seed: RunDirectory(path / f"seed-{seed}") for seed in numbers}
    for directory in () if resume else directories.values():
        directory.check_free()  # all, before the first one is trained
    results = {}
    for seed, directory in directories.items():
        one = replace(experiment, seed=seed)
        results[seed] = retrain(given, one, directory, resume=resume and directory.exists, quiet=quiet)
    errors = [cast(float, result["test_error"]) for result in results.values()]
    spread: Result = {
        "given": given,
        "seeds": list(numbers),
        "test_errors": errors,
        "test_error": mean(errors),
        "deviation": stdev(errors),
        "params": [result["params"] for result in results.values()],
        "macs": [result["macs"] for result in results.values()],
        "seconds": sum(cast(float, result["seconds"]) for result in results.values()),
    }
    RunDirectory(path).write_json(SPREAD, spread)
    write_spread_report(path)
    return spread
