"""What a variational run says of a task's architecture, as files: how open each edge is, and cells that it may be."""

import json

import torch

from metanas.evaluate.figures import encode, prior_heat_map
from metanas.run.pictures import by_part
from metanas.strategies.posterior import Posterior


def posterior_files(posterior: Posterior, cells: int, rng: torch.Generator) -> dict[str, bytes]:
    """posterior.json and posterior.png.

    Args:
        posterior: of one task.
        cells: architectures to draw.
        rng: of the draws.
    """
    drawn = [posterior.draw(rng) for _ in range(cells)]
    tables, others = by_part(posterior.space, posterior.probabilities())
    ops = posterior.space.primitives
    content = {
        "ops": list(ops),
        "cells": tables,
        **others,
        "entropy": {kind: edges.tolist() for kind, edges in posterior.entropies().items()},
        "mean_entropy": posterior.mean_entropy(),
        "drawn": [list(genotype) for genotype in drawn],
    }
    picture = encode(prior_heat_map(ops, tables), "png")
    return {"posterior.json": (json.dumps(content, indent=1) + "\n").encode(), "posterior.png": picture}
