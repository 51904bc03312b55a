"""The state of meta-training as plain data, and back."""

from typing import NamedTuple, cast

import torch
from torch import Tensor

from metanas.config import Experiment
from metanas.config_file import dump_experiment
from metanas.errors import CheckpointError
from metanas.meta.learner import DescentState
from metanas.optim import AdamState
from metanas.params import MetaParams, Metrics, Params, tree_map


class Progressed(NamedTuple):
    """How far meta-training came."""

    learner: DescentState
    iteration: int
    """Outer steps done."""
    seconds: float
    """Wall-clock seconds spent, validation included."""
    best: float
    """Best validation accuracy so far; -1 before the first validation."""
    stale: int = 0
    """Validations since the best one."""
    skipped: int = 0
    """Meta-batches and validations left out because something in them was not finite."""
    reference: Tensor | None = None
    """Training images for `adapt.reference` and `adapt.background`, uint8 `[m, c, h, w]`; None where both are 0."""
    window: tuple[Metrics, ...] = ()
    """Metrics of the steps since the last row of metrics.jsonl."""


def to_plain(state: Progressed, experiment: Experiment) -> dict[str, object]:
    """A dictionary of tensors, numbers and strings: `weights_only` loading refuses named tuples."""
    learner = state.learner
    trees = {"params": learner.params, "first": learner.optimiser.first, "second": learner.optimiser.second}
    return {
        "experiment": dump_experiment(experiment),
        "iteration": state.iteration,
        "seconds": state.seconds,
        "best": state.best,
        "stale": state.stale,
        "skipped": state.skipped,
        "reference": state.reference,
        "window": list(state.window),
        "step": learner.optimiser.step,
        "rested": learner.optimiser.rested,
        "torch": str(torch.__version__),
        **{f"{name}/{part}": getattr(tree, part) for name, tree in trees.items() for part in MetaParams._fields},
    }


def from_plain(plain: dict[str, object], device: torch.device) -> Progressed:
    """The inverse of `to_plain`, on `device`; raises `CheckpointError` for a dictionary of something else."""
    try:
        trees = {
            name: tree_map(
                lambda t: t.to(device),
                MetaParams(
                    cast(Params, plain[f"{name}/weights"]),
                    cast(Params, plain[f"{name}/arch"]),
                    *(cast(Params, plain.get(f"{name}/{part}", {})) for part in ("rates", "squares")),  # new since
                ),
            )
            for name in ("params", "first", "second")
        }
        optimiser = AdamState(
            cast(int, plain["step"]), trees["first"], trees["second"], cast(int, plain.get("rested", 0))
        )
        return Progressed(
            DescentState(trees["params"], optimiser),
            cast(int, plain["iteration"]),
            cast(float, plain["seconds"]),
            cast(float, plain["best"]),
            cast(int, plain.get("stale", 0)),
            cast(int, plain.get("skipped", 0)),
            cast(Tensor | None, plain.get("reference")),
            tuple(cast(list[Metrics], plain.get("window", []))),
        )
    except KeyError as error:
        raise CheckpointError(f"the checkpoint is not one of meta-training: it lacks {error}") from error
    except (AttributeError, TypeError) as error:
        raise CheckpointError(f"the checkpoint is not one of meta-training: {error}") from error
