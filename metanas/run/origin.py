"""Where cells that are trained from scratch come from, and what it cost to find them.

The record is written when a training begins, because what it names may be gone when it ends.
"""

import json
from pathlib import Path
from typing import cast

from metanas.config.retrain import RetrainExperiment
from metanas.config.search import SearchExperiment
from metanas.errors import RunError
from metanas.run.directory import RunDirectory
from metanas.run.given_cells import RANDOM, is_random
from metanas.spaces.zoo import ZOO

FILE = "origin.json"
"""Its name in the run directory of a training."""

Origin = dict[str, object]
"""`kind` (`search`, `random`, `published` or `text`) and `name`; of a search also `method`, the `dataset` that it saw,
its `seconds`, the meta-trained run that it began from (`start`, or null) and how long that took (`start_seconds`)."""


def origin(given: str) -> Origin:
    """The record of cells that are given so, as in `given_cells`; raises `RunError` where a run is damaged."""
    if is_random(given):
        return {"kind": "random", "name": RANDOM}
    if given.lower() in ZOO:
        return {"kind": "published", "name": given.lower()}
    path = Path(given)
    if "Genotype(" in given or not path.exists():
        return {"kind": "text", "name": ""}
    directory = RunDirectory(path if path.is_dir() else path.parent)
    kind = type(directory.defined()) if directory.exists else None
    if kind is RetrainExperiment and path.is_dir():
        return read_origin(directory)
    if kind is SearchExperiment and (path.is_dir() or path.name == "genotype.json") and directory.result.is_file():
        return {"kind": "search", "name": path.resolve().name if path.is_dir() else path.resolve().parent.name} | {
            key: _record(directory.result).get(key)
            for key in ("method", "dataset", "seconds", "start", "start_seconds", "seed")
        }
    return {"kind": "text", "name": path.name}


def read_origin(directory: RunDirectory) -> Origin:
    """What the training there has recorded; that of a text where there is no record."""
    path = directory.path / FILE
    found = _record(path) if path.is_file() else {"kind": "text", "name": ""}
    return {key: value for key, value in found.items() if key != "given"}


def write_origin(directory: RunDirectory, found: Origin, given: str) -> None:
    """Records where the cells of a training come from, and how they were given."""
    directory.write_json(FILE, found | {"given": given})


def read_given(directory: RunDirectory) -> str | None:
    """How the cells of the training there were given when it began; None where that is not recorded."""
    path = directory.path / FILE
    return cast(str | None, _record(path).get("given")) if path.is_file() else None


def _record(path: Path) -> Origin:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise RunError(f"expected JSON in {path}, got {error}; give the cells as the text Genotype(...)") from error
    if not isinstance(found, dict):
        raise RunError(f"expected a JSON object in {path}, got {type(found).__name__}; give the cells as a text")
    return found
