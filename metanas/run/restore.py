"""A meta-trained run, back from its directory."""

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from metanas.config import Experiment
from metanas.errors import CheckpointError
from metanas.params import MetaParams
from metanas.run.directory import RunDirectory
from metanas.run.start import seconds_of
from metanas.run.state import Progressed, from_plain
from metanas.run.workbench import Workbench
from metanas.spaces.space import SearchSpace

PARTS = ("", "", "the rate of ", "the squares of ")
"""What the entries of each group of `MetaParams` are called in a complaint."""


class Restored(NamedTuple):
    """A meta-trained run, ready to be used."""

    bench: Workbench
    state: Progressed
    checkpoint: str
    """Which checkpoint it is: `best` or `last`."""
    seconds: float
    """How long meta-training took, also after that checkpoint."""


def restore(directory: RunDirectory, experiment: Experiment) -> Restored:
    """The checkpoint that the configuration asks for; `last` where no validation chose a best one."""
    name = chosen_checkpoint(directory, experiment)
    bench = Workbench.of(experiment)
    state = load(bench, directory.checkpoints.load(name))
    return Restored(bench.with_reference(state.reference), state, name, seconds_of(directory))


def chosen_checkpoint(directory: RunDirectory, experiment: Experiment) -> str:
    """The name of the checkpoint that is used after meta-training."""
    has_best = experiment.evaluate.checkpoint == "best" and directory.checkpoints.has("best")
    return "best" if has_best else "last"


def load(bench: Workbench, plain: dict[str, object]) -> Progressed:
    """The state in a checkpoint; raises `CheckpointError` where it is of another network than the workbench's."""
    state = from_plain(plain, bench.device)
    check_network(state.learner.params, bench.net, bench.space, bench.experiment.inner.equipped)
    return state


def check_network(
    params: MetaParams,
    net: nn.Module,
    space: SearchSpace,
    equipped: Callable[[MetaParams], MetaParams] = lambda start: start,
) -> None:
    """Raises `CheckpointError` where `params` are not those of the supernet `net` of `space`, as `equipped`."""
    start = equipped(MetaParams(dict(net.named_parameters()), space.logits()))
    expected, found = (
        {f"{part}{name}": t for part, group in zip(PARTS, tree, strict=True) for name, t in group.items()}
        for tree in (start, params)
    )
    for name in sorted(expected.keys() | found.keys()):
        wanted, given = (tuple(tree[name].shape) if name in tree else None for tree in (expected, found))
        if wanted != given:
            raise CheckpointError(
                f"the checkpoint is of another network than the configuration: expected {name} of shape {wanted}, "
                f"got {given}; use the configuration that it was trained with"
            )
