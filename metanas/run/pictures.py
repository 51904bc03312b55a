"""Pictures of what was learned, written into the run directory."""

from pathlib import Path

import torch

from metanas.atomic import write_atomically
from metanas.evaluate.figures import prior_heat_map, save
from metanas.params import Params
from metanas.run.directory import RunDirectory
from metanas.run.workbench import Workbench
from metanas.spaces.draw import draw_cells
from metanas.spaces.raster import cells_png
from metanas.spaces.space import Genotype, SearchSpace


def draw_prior(bench: Workbench, arch: Params, directory: RunDirectory) -> dict[str, Path]:
    """Draws the prior: its probabilities (arch.json, pictures/arch.png) and its decoded cell; returns the PNG files.

    A fixed architecture has none of them.
    """
    if not arch:
        return {}
    tables = {kind: torch.softmax(logits, -1).tolist() for kind, logits in arch.items()}
    directory.write_json("arch.json", {"ops": list(bench.space.primitives), "cells": tables})
    folder = directory.path / "pictures"
    folder.mkdir(exist_ok=True)
    save(prior_heat_map(bench.space.primitives, tables), folder / "arch.png")
    genotype = bench.space.decode(arch)
    cells_png(bench.space.cells(genotype), bench.space.wiring, folder / "cell.png", "meta-learned prior")
    draw_genotype(bench.space, genotype, directory.path / "cells" / "prior.svg", "meta-learned prior")
    return {"arch": folder / "arch.png", "cell": folder / "cell.png"}


def draw_genotype(space: SearchSpace, genotype: Genotype, path: Path, title: str) -> None:
    """Draws the cells of `genotype` as an SVG file."""
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, draw_cells(space.cells(genotype), space.wiring, title).encode())
