"""Our ways to do the same work: what an engine, a precision, an order in memory or a compiler makes of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from metanas.errors import ConfigError
from metanas.objective import Objective
from metanas.params import MetaParams
from metanas.recorder import Engine
from metanas.spaces.conv import channels_last
from tasks.episode import Batch

OURS = "ours"
"""The way that a run goes."""
COMPILED = "compiled"


@dataclass(frozen=True)
class ChannelsLast:
    """A loss whose features lie channels last on any device; an `Objective`."""

    loss: Objective

    def __call__(self, params: MetaParams, batch: Batch) -> Tensor:
        """See `LossFn`."""
        with channels_last(batch.x.device.type):
            return self.loss(params, batch)

    def blind(self, device: torch.device) -> "ChannelsLast":
        """See `Recordable`."""
        return ChannelsLast(self.loss.blind(device))

    def with_class_means(self, params: MetaParams, support: Batch) -> MetaParams:
        """See `Objective`."""
        return self.loss.with_class_means(params, support)


@dataclass(frozen=True)
class Compiled:
    """A loss as `torch.compile` makes it, which can be differentiated once; an `Objective`.

    It is compiled at the first call, which takes minutes, and anew for other shapes.
    """

    loss: Objective
    """A blind one: a compiler has no values to look at."""

    def __call__(self, params: MetaParams, batch: Batch) -> Tensor:
        """See `LossFn`."""
        compiled: Tensor = _compiler()(self.loss, params, batch)
        return compiled

    def blind(self, device: torch.device) -> "Compiled":
        """See `Recordable`; it is so already."""
        del device
        return self

    def with_class_means(self, params: MetaParams, support: Batch) -> MetaParams:
        """See `Objective`."""
        return self.loss.with_class_means(params, support)


@cache
def _compiler() -> Callable[..., Any]:
    """Made when it is first called: what compiles takes seconds to import."""

    def call(loss: Objective, params: MetaParams, batch: Batch) -> Tensor:
        return loss(params, batch)

    return torch.compile(call, dynamic=False)


def check_compiler(device: torch.device) -> None:
    """Raises `ConfigError` where nothing can be compiled, as without a C++ compiler; compiles a sum to find out."""
    from torch._dynamo.exc import TorchDynamoException

    try:
        torch.compile(torch.add, dynamic=False)(torch.ones(1, device=device), 1)
    except TorchDynamoException as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"--compiled needs torch.compile, which failed ({reason}); leave it out") from error


class Way(NamedTuple):
    """One of them; the defaults are those of a run."""

    engine: Engine = "auto"
    dtype: torch.dtype = torch.float32
    """Of features."""
    of: Callable[[Objective], Objective] = lambda loss: loss
    """What is made of the loss."""


def ways(device: str, *, is_compiled: bool = False) -> dict[str, Way]:
    """The ways to compare on a device, by name: a run's, on a GPU its alternatives, and the compiler's if asked for."""
    found = {OURS: Way()}
    if device != "cpu":
        found |= {
            "unrecorded": Way("plain"),
            "channels_last": Way(of=ChannelsLast),
            "bfloat16": Way(dtype=torch.bfloat16),
            "bfloat16_channels_last": Way(dtype=torch.bfloat16, of=ChannelsLast),
        }
    if is_compiled:
        found[COMPILED] = Way(of=lambda loss: Compiled(loss.blind(torch.device(device))))
    return found
