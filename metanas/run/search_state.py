"""The state of a single-task search as plain data, and back."""

from typing import NamedTuple, cast

import torch

from metanas.config.search import SearchExperiment
from metanas.config_file import dump_experiment
from metanas.errors import CheckpointError
from metanas.optim import AdamState
from metanas.params import MetaParams, Metrics, Params
from metanas.search.searcher import SearchState
from metanas.search.stage import Kept, Stage


class Searched(NamedTuple):
    """How far a search came."""

    search: SearchState
    iteration: int
    """Steps done, of all epochs."""
    seconds: float
    """Wall-clock seconds spent, validation included."""
    history: Params
    """The logits at the beginning and after every epoch, `[1 + epochs, edges, ops]` by cell kind, on the CPU."""
    eigenvalues: tuple[float, ...] = ()
    """Dominant Hessian eigenvalues so far."""
    window: tuple[Metrics, ...] = ()
    """Metrics of the steps of the epoch at hand."""
    stage: Stage = Stage()
    """The stage at hand."""
    start_seconds: float | None = None
    """How long the run that it began from had meta-trained by then."""


def to_plain(state: Searched, experiment: SearchExperiment) -> dict[str, object]:
    """A dictionary of tensors, numbers and strings: `weights_only` loading refuses named tuples."""
    search = state.search
    return {
        "experiment": dump_experiment(experiment),
        "iteration": state.iteration,
        "seconds": state.seconds,
        "history": state.history,
        "eigenvalues": list(state.eigenvalues),
        "window": list(state.window),
        "stage": state.stage.number,
        "kept": state.stage.kept,
        "start_seconds": state.start_seconds,
        "torch": str(torch.__version__),
        "params/weights": search.params.weights,
        "params/arch": search.params.arch,
        "momentum": search.momentum,
        "adam/step": search.adam.step,
        "adam/first": search.adam.first.arch,
        "adam/second": search.adam.second.arch,
    }


def stage_of(plain: dict[str, object]) -> Stage:
    """The stage that a dictionary of `to_plain` is of; raises `CheckpointError` for one of something else."""
    if "stage" not in plain or "kept" not in plain:
        raise CheckpointError("the checkpoint is not one of a search: it lacks 'stage'")
    return Stage(cast(int, plain["stage"]), cast(Kept | None, plain["kept"]))


def from_plain(plain: dict[str, object], device: torch.device) -> Searched:
    """The inverse of `to_plain`, on `device`; raises `CheckpointError` for a dictionary of something else."""

    def tensors(name: str) -> Params:
        return {key: tensor.to(device) for key, tensor in cast(Params, plain[name]).items()}

    try:
        adam = AdamState(
            cast(int, plain["adam/step"]), MetaParams({}, tensors("adam/first")), MetaParams({}, tensors("adam/second"))
        )
        params = MetaParams(tensors("params/weights"), tensors("params/arch"))
        return Searched(
            SearchState(params, tensors("momentum"), adam),
            cast(int, plain["iteration"]),
            cast(float, plain["seconds"]),
            cast(Params, plain["history"]),
            tuple(cast(list[float], plain["eigenvalues"])),
            tuple(cast(list[Metrics], plain["window"])),
            stage_of(plain),
            cast(float | None, plain.get("start_seconds")),
        )
    except KeyError as error:
        raise CheckpointError(f"the checkpoint is not one of a search: it lacks {error}") from error
    except (AttributeError, TypeError) as error:
        raise CheckpointError(f"the checkpoint is not one of a search: {error}") from error
