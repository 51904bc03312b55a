"""Pictures of what was learned, written into the run directory."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor

from metanas.atomic import write_atomically
from metanas.evaluate.figures import prior_heat_map, save
from metanas.evaluate.search_figures import arch_history
from metanas.params import Params
from metanas.run.directory import RunDirectory
from metanas.spaces.draw import draw_cells
from metanas.spaces.input_pairs import names_pairs
from metanas.spaces.raster import cells_png
from metanas.spaces.space import Genotype, SearchSpace

Table = list[list[float]]
"""Probabilities of the operations on every edge."""

Nested = TypeVar("Nested", Table, list[Table])


def draw_prior(space: SearchSpace, arch: Params, directory: RunDirectory) -> dict[str, Path]:
    """Draws the prior: its probabilities (arch.json, pictures/arch.png) and its decoded cell; returns the PNG files.

    A fixed architecture has none of them.
    """
    if not arch:
        return {}
    tables: dict[str, Table] = _probabilities(_of_ops(arch))
    directory.write_json("arch.json", {"ops": list(space.primitives), "cells": tables} | _inputs(arch))
    return _draw(space, arch, tables, directory, "prior", "meta-learned prior")


def draw_search(
    space: SearchSpace, arch: Params, history: Mapping[str, Tensor], directory: RunDirectory
) -> dict[str, Path]:
    """Draws where a search is, as `draw_prior` does, and how it came there; returns the PNG files.

    Args:
        space: of the search.
        arch: the logits.
        history: the logits at the beginning and after every epoch, `[1 + epochs, edges, ops]` by cell kind.
        directory: of the run.
    """
    tables: dict[str, Table] = _probabilities(_of_ops(arch))
    course: dict[str, list[Table]] = _probabilities(_of_ops(history))
    directory.write_json(
        "arch.json", {"ops": list(space.primitives), "cells": tables, "history": course} | _inputs(arch)
    )
    pictures = _draw(space, arch, tables, directory, "found", "found cells")
    pictures["arch_history"] = directory.path / "pictures" / "arch_history.png"
    save(arch_history(space.primitives, course), pictures["arch_history"])
    return pictures


def _draw(
    space: SearchSpace, arch: Params, tables: Mapping[str, Table], directory: RunDirectory, name: str, title: str
) -> dict[str, Path]:
    folder = directory.path / "pictures"
    folder.mkdir(exist_ok=True)
    save(prior_heat_map(space.primitives, tables), folder / "arch.png")
    genotype = space.decode(arch)
    cells_png(space.cells(genotype), space.wiring, folder / "cell.png", title)
    draw_genotype(space, genotype, directory.path / "cells" / f"{name}.svg", title)
    return {"arch": folder / "arch.png", "cell": folder / "cell.png"}


def draw_genotype(space: SearchSpace, genotype: Genotype, path: Path, title: str) -> None:
    """Draws the cells of `genotype` as an SVG file."""
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, draw_cells(space.cells(genotype), space.wiring, title).encode())


def _of_ops(logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The logits of operations, which alone are drawn."""
    return {name: table for name, table in logits.items() if not names_pairs(name)}


def _inputs(arch: Params) -> dict[str, object]:
    """The probabilities of pairs of inputs, where they have logits."""
    found = {name: torch.softmax(logits, -1).tolist() for name, logits in arch.items() if names_pairs(name)}
    return {"inputs": found} if found else {}


def _probabilities(logits: Mapping[str, Tensor]) -> dict[str, Nested]:
    """Of the operations, as nested lists by cell kind."""
    return {kind: torch.softmax(table, -1).tolist() for kind, table in logits.items()}
