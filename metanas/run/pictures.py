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
from metanas.spaces.cell_genotype import CellGenotype
from metanas.spaces.cell_space import KINDS
from metanas.spaces.draw import draw_cells
from metanas.spaces.input_pairs import names_pairs
from metanas.spaces.raster import cells_png
from metanas.spaces.space import Genotype, SearchSpace, Wiring

Table = list[list[float]]
"""Probabilities of the operations on every edge."""

Nested = TypeVar("Nested", Table, list[Table])


def draw_prior(space: SearchSpace, arch: Params, directory: RunDirectory) -> dict[str, Path]:
    """Draws the prior: its probabilities (arch.json, pictures/arch.png) and its decoded cell; returns the PNG files.

    A fixed architecture has none of them. Probabilities of edges stand in arch.json alone.
    """
    if not arch:
        return {}
    tables, others = by_part(space, {name: torch.softmax(table, -1) for name, table in arch.items()})
    directory.write_json("arch.json", {"ops": list(space.primitives), "cells": tables, **others})
    return _draw(space, space.decode(arch), tables, directory, "prior", "meta-learned prior")


def draw_search(
    space: SearchSpace, genotype: Genotype, arch: Params, history: Mapping[str, Tensor], directory: RunDirectory
) -> dict[str, Path]:
    """Draws where a search is, as `draw_prior` does, and how it came there; returns the PNG files.

    Args:
        space: of the search.
        genotype: what the method decodes from the logits.
        arch: the logits.
        history: the logits at the beginning and after every epoch, `[1 + epochs, edges, ops]` by cell kind.
        directory: of the run.
    """
    tables, others = by_part(space, {name: torch.softmax(table, -1) for name, table in arch.items()})
    course: dict[str, list[Table]] = _probabilities({kind: history[kind] for kind in tables})
    directory.write_json("arch.json", {"ops": list(space.primitives), "cells": tables, "history": course, **others})
    pictures = _draw(space, genotype, tables, directory, "found", "found cells")
    pictures["arch_history"] = directory.path / "pictures" / "arch_history.png"
    save(arch_history(space.primitives, course), pictures["arch_history"])
    return pictures


def _draw(
    space: SearchSpace, genotype: Genotype, tables: Mapping[str, Table], directory: RunDirectory, name: str, title: str
) -> dict[str, Path]:
    folder = directory.path / "pictures"
    folder.mkdir(exist_ok=True)
    save(prior_heat_map(space.primitives, tables), folder / "arch.png")
    cells_png(space.cells(genotype), space.wiring, folder / "cell.png", title)
    draw_genotype(space, genotype, directory.path / "cells" / f"{name}.svg", title)
    return {"arch": folder / "arch.png", "cell": folder / "cell.png"}


def draw_genotype(space: SearchSpace, genotype: Genotype, path: Path, title: str) -> None:
    """Draws the cells of `genotype` as an SVG file."""
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, draw_cells(space.cells(genotype), space.wiring, title).encode())


def by_part(space: SearchSpace, probabilities: Params) -> tuple[dict[str, Table], dict[str, object]]:
    """Those of the operations by cell kind, and, where a node's edges or pairs of inputs have logits, these by node."""
    kinds = space.cells(space.decode(probabilities))
    others: dict[str, dict[str, object]] = {}
    for name, table in probabilities.items():
        if name not in kinds:
            others.setdefault("inputs" if names_pairs(name) else "sources", {})[name] = table.tolist()
    return {kind: probabilities[kind].tolist() for kind in kinds}, dict(others)


def draw_cell_genotype(cells: CellGenotype, path: Path, title: str) -> None:
    """Draws published or found cells as an SVG file."""
    path.parent.mkdir(exist_ok=True)
    edges = {kind: graph.edges for kind, graph in zip(KINDS, cells, strict=True)}
    wiring = {
        kind: Wiring(inputs=2, nodes=len(graph.edges) // 2, outputs=graph.concat)
        for kind, graph in zip(KINDS, cells, strict=True)
    }
    write_atomically(path, draw_cells(edges, wiring, title).encode())


def _probabilities(logits: Mapping[str, Tensor]) -> dict[str, Nested]:
    """Of the operations, as nested lists by cell kind."""
    return {kind: torch.softmax(table, -1).tolist() for kind, table in logits.items()}
