"""Where a run begins that does not begin from the seed alone: with weights and logits that another has meta-learned."""

from pathlib import Path

import torch

from metanas.errors import ConfigError
from metanas.params import MetaParams, is_head, tree_map
from metanas.run.build_search import SearchBench
from metanas.run.directory import RunDirectory
from metanas.run.drawn import drawn
from metanas.run.state import Progressed, from_plain


def start(bench: SearchBench) -> MetaParams:
    """The parameters before a stage's first step; raises `ConfigError` where `start` names a run of another space."""
    experiment = bench.experiment
    later = ("stage", bench.stage.number) if bench.stage.number else ()
    found = drawn(bench.net, bench.space, experiment.search.arch_std, experiment.seed, *later)
    if experiment.start is not None and not later:
        found = begun_at(experiment.start, found)
    return tree_map(lambda t: t.to(bench.device), found)


def begun_at(run: str, drawn: MetaParams) -> MetaParams:
    """The weights and logits that the run in the directory `run` has learned, with the head that was `drawn`.

    Raises:
        ConfigError: it is a run of another space.
    """
    learned = _learned(Path(run)).learner.params
    body = {name: learned.weights.get(name) for name in drawn.weights if not is_head(name)}
    arch = {name: learned.arch.get(name) for name in drawn.arch}
    return MetaParams(drawn.weights | _fitting(body, drawn.weights, run), _fitting(arch, drawn.arch, run))


def start_seconds(start: str | None) -> float | None:
    """How long the run in the directory `start` has meta-trained; None without one, or where it is gone."""
    if start is None or not RunDirectory(Path(start)).exists:
        return None
    return seconds_of(RunDirectory(Path(start)))


def seconds_of(directory: RunDirectory) -> float:
    """How long a run has meta-trained, also after the checkpoint that validation chose, where the last one is there."""
    name = "last" if any(map(directory.checkpoints.has, ("last", "prev"))) else "best"
    return from_plain(directory.checkpoints.load(name), torch.device("cpu")).seconds


def _learned(path: Path) -> Progressed:
    """What the run has learned, at its best on validation classes where it has validated."""
    directory = RunDirectory(path)
    directory.experiment()  # refuses what is no meta-trained run
    name = "best" if directory.checkpoints.has("best") else "last"
    return from_plain(directory.checkpoints.load(name), torch.device("cpu"))


def _fitting(
    learned: dict[str, torch.Tensor | None], wanted: dict[str, torch.Tensor], run: str
) -> dict[str, torch.Tensor]:
    """The learned tensors under the wanted names, where all have the wanted shapes."""
    found = {}
    for name, tensor in learned.items():
        if tensor is None or tensor.shape != wanted[name].shape:
            raise ConfigError(
                f"start={run} is of another space: expected {name} of shape "
                f"{tuple(wanted[name].shape)}, got {None if tensor is None else tuple(tensor.shape)}; use its space "
                "and data.channels, or start=null"
            )
        found[name] = tensor
    return found
