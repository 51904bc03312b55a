"""The state of a training from scratch as plain data, and back."""

from typing import NamedTuple, cast

import torch

from metanas.config.retrain import RetrainExperiment
from metanas.config_file import dump_experiment
from metanas.errors import CheckpointError
from metanas.networks.network import DerivedNetwork
from metanas.networks.training import Stepped, sgd
from metanas.params import Params
from metanas.run.build_retrain import RetrainBench


class Retrained(NamedTuple):
    """How far a training came; network and optimiser change in place, the rest is a new tuple after each step."""

    net: DerivedNetwork
    optimiser: torch.optim.SGD
    iteration: int = 0
    """Steps done, of all epochs."""
    seconds: float = 0.0
    """Wall-clock seconds spent."""
    window: tuple[Stepped, ...] = ()
    """What the steps of the epoch at hand saw."""


def begin(bench: RetrainBench) -> Retrained:
    """The state before the first step."""
    recipe, net = bench.experiment.retrain, bench.network()
    return Retrained(net, sgd(net, momentum=recipe.momentum, decay=recipe.decay))


def to_plain(state: Retrained, experiment: RetrainExperiment) -> dict[str, object]:
    """A dictionary of tensors, numbers and strings: weights, running statistics, momentum, and where it stands."""
    buffers = {
        name: state.optimiser.state[weight]["momentum_buffer"]
        for name, weight in state.net.named_parameters()
        if "momentum_buffer" in state.optimiser.state[weight]
    }
    return {
        "experiment": dump_experiment(experiment),
        "iteration": state.iteration,
        "seconds": state.seconds,
        "window": [list(seen) for seen in state.window],
        "torch": str(torch.__version__),
        "net": dict(state.net.state_dict()),
        "momentum": buffers,
    }


def from_plain(plain: dict[str, object], bench: RetrainBench) -> Retrained:
    """The inverse of `to_plain`; raises `CheckpointError` for a dictionary of something else or another network."""
    state = begin(bench)
    try:
        state.net.load_state_dict(cast(Params, plain["net"]))
        weights = dict(state.net.named_parameters())
        for name, buffer in cast(Params, plain["momentum"]).items():
            kept = torch.empty_like(weights[name]).copy_(buffer)  # the strides of the weight, which the bits depend on
            state.optimiser.state[weights[name]]["momentum_buffer"] = kept
        return state._replace(
            iteration=cast(int, plain["iteration"]),
            seconds=cast(float, plain["seconds"]),
            window=tuple(Stepped(*seen) for seen in cast(list[list[float]], plain["window"])),
        )
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise CheckpointError(f"the checkpoint is not one of this training from scratch: {error}") from error
