"""A meta-trained run, back from its directory."""

from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from metanas.config import Experiment
from metanas.errors import CheckpointError
from metanas.params import MetaParams, Params
from metanas.run.directory import RunDirectory
from metanas.run.state import Progressed, from_plain
from metanas.run.workbench import Workbench
from metanas.spaces.space import SearchSpace


class Restored(NamedTuple):
    """A meta-trained run, ready to be used."""

    bench: Workbench
    state: Progressed
    checkpoint: str
    """Which checkpoint it is: `best` or `last`."""


def restore(directory: RunDirectory, experiment: Experiment) -> Restored:
    """The checkpoint that the configuration asks for; `last` where no validation chose a best one."""
    name = experiment.evaluate.checkpoint
    if name == "best" and not directory.checkpoints.has("best"):
        name = "last"
    bench = Workbench.of(experiment)
    state = load(bench, directory.checkpoints.load(name))
    return Restored(bench.with_reference(state.reference), state, name)


def load(bench: Workbench, plain: dict[str, object]) -> Progressed:
    """The state in a checkpoint; raises `CheckpointError` where it is of another network than the workbench's."""
    state = from_plain(plain, bench.device)
    inner = bench.experiment.inner
    check_network(state.learner.params, bench.net, bench.space, inner.initial_rates)
    return state


def check_network(
    params: MetaParams, net: nn.Module, space: SearchSpace, rates: Callable[[MetaParams], Params] = lambda start: {}
) -> None:
    """Raises `CheckpointError` where `params` are not those of the supernet `net` of `space`, or lack its `rates`."""
    start = MetaParams(dict(net.named_parameters()), space.logits())
    expected, found = (
        tree.weights | tree.arch | {f"the rate of {name}": rate for name, rate in tree.rates.items()}
        for tree in (start._replace(rates=rates(start)), params)
    )
    for name in sorted(expected.keys() | found.keys()):
        wanted, given = (tuple(tree[name].shape) if name in tree else None for tree in (expected, found))
        if wanted != given:
            raise CheckpointError(
                f"the checkpoint is of another network than the configuration: expected {name} of shape {wanted}, "
                f"got {given}; use the configuration that it was trained with"
            )
