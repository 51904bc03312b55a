"""What a meta-gradient is: how tasks move the start that they share."""

from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from metanas.objective import Objective
from metanas.params import MetaParams
from tasks.episode import Episode


class Verdict(NamedTuple):
    """What some tasks say about the start that they share."""

    gradient: MetaParams
    """The sum over tasks of d query loss / d start, or of what stands for it; zeros where no task depends on an entry.
    For carried squares (`metanas.meta.reptile`) what the outer step takes away, as it is."""
    query_loss: Tensor
    """Mean loss of each task on its query set after adaptation, nats, `[tasks]`."""


@runtime_checkable
class Scheduled(Protocol):
    """A meta-gradient that changes in the course of meta-training."""

    def at(self, progress: float) -> "MetaGradient":
        """The meta-gradient after that share, 0 to 1, of the outer steps."""
        ...


@runtime_checkable
class MetaGradient(Protocol):
    """A function from (loss, start, episodes) to the gradient with respect to `start`; MAML is one."""

    def __call__(self, loss: Objective, start: MetaParams, episodes: Episode) -> Verdict:
        """The verdict of episodes stacked on a leading `tasks` axis; `start` has no such axis."""
        ...
