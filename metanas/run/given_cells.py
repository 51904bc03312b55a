"""Cells as a person gives them: a run, a file, a published name, a random draw, or their text."""

import json
from collections.abc import Mapping
from pathlib import Path

from metanas.config.retrain import RetrainExperiment
from metanas.errors import GenotypeError, RunError
from metanas.run import build
from metanas.run.directory import RunDirectory
from metanas.spaces.cell_genotype import CellGenotype, CellGraph, as_cells, check_cell
from metanas.spaces.cell_space import KINDS, CellSpace
from metanas.spaces.darts import Darts
from metanas.spaces.genotype import random_genotype
from metanas.spaces.genotype_text import CELLS, LONGEST, read_genotype
from metanas.spaces.space import CellEdge
from metanas.spaces.zoo import ZOO, published
from tasks.stream import stream

RANDOM = "random"
"""Asks for cells drawn uniformly from DARTS's space, the baseline of every search; `random:SEARCH` for the space of a
search, whose cells may be smaller."""


def given_cells(given: str, seed: int) -> CellGenotype:
    """The cells that `given` stands for.

    Args:
        given: the directory of a finished search or of a training from scratch; a file that holds `genotype.json` or
            the text of the literature; a name of the zoo in either case (`DARTS_V2`); `random` or `random:SEARCH`; or
            the text itself.
        seed: of the random draw.

    Raises:
        GenotypeError: for something else, or cells that cannot be built.
        RunError: for a run that has found no such cells, or a file that cannot be read.
    """
    if "Genotype(" in given:
        return read_genotype(given)
    if is_random(given):
        space = _space_of(RunDirectory(Path(given.removeprefix(f"{RANDOM}:")))) if given != RANDOM else Darts()
        return as_cells(space, random_genotype(space, stream(seed, "random cells")))
    if given.lower() in ZOO:
        return published(given.lower())
    path = Path(given)
    if path.is_dir():
        return _of_run(RunDirectory(path))
    if not path.is_file():
        raise GenotypeError(
            f"expected the directory of a search, a file, {RANDOM}, {RANDOM}:SEARCH, the text Genotype(...), or a "
            f"published genotype out of {', '.join(ZOO)}, got {given!r}"
        )
    return _read(path)


def is_random(given: str) -> bool:
    """Whether cells are to be drawn."""
    return given == RANDOM or given.startswith(f"{RANDOM}:")


def _space_of(directory: RunDirectory) -> CellSpace:
    """The space that a search has searched."""
    space = build.space(directory.searched())
    if not isinstance(space, CellSpace):
        raise GenotypeError(
            f"{RANDOM}:{directory.path}: expected a search of normal and reduction cells, got one of another space; "
            f"give {RANDOM}, or a search with space.kind=darts or fewshot"
        )
    return space


def _of_run(directory: RunDirectory) -> CellGenotype:
    """What a search has found, or a training from scratch was given."""
    experiment = directory.defined()
    if isinstance(experiment, RetrainExperiment):
        return read_genotype(experiment.genotype)
    path = directory.path / "genotype.json"
    if not path.is_file():
        raise RunError(f"{directory.path}: expected the directory of a finished search, got one without {path.name}")
    return _read(path)


def _read(path: Path) -> CellGenotype:
    try:
        text = path.read_bytes()[: 4 * LONGEST].decode()
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise GenotypeError(f"{path}: expected genotype.json or the text Genotype(...), got no text") from error
    if "Genotype(" in text:
        try:
            return read_genotype(text)
        except GenotypeError as error:
            raise GenotypeError(f"{path}: {error}") from error
    try:
        cells = json.loads(text)["cells"]
        graphs = [_graph(cells, kind) for kind in KINDS]
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, GenotypeError):
            raise GenotypeError(f"{path}: {error}") from error
        raise GenotypeError(
            f"{path}: expected the text Genotype(...), or {' and '.join(KINDS)} cells as a search writes them, got "
            f"{type(error).__name__}: {error}; search a space of such cells, space.kind=darts or fewshot"
        ) from error
    return CellGenotype(*graphs)


def _graph(cells: Mapping[str, list[dict[str, object]]], kind: str) -> CellGraph:
    """A cell whose nodes are all in the output, as those of a searched space are."""
    edges = tuple(CellEdge(_number(edge["source"]), _number(edge["target"]), str(edge["op"])) for edge in cells[kind])
    graph = CellGraph(edges, tuple(range(2, 2 + len(edges) // 2)))
    check_cell(graph, dict(zip(KINDS, CELLS, strict=True))[kind])
    return graph


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"a state is a whole number, not {value!r}")
    return value
