"""How a meta-batch is executed: which tasks run in one call, and how the verdicts of parts become one.

`fold` runs all tasks in one call, folded into the channels (see `metanas.spaces.conv`), `loop` one task after another.
How a meta-batch is cut changes the result by rounding only, and where its parts run not at all; memory and speed do
depend on both. Where memory does not suffice for a call, it is made for half as many tasks.
"""

import logging
from collections.abc import Iterator, Sequence
from typing import Literal

import torch

from metanas.errors import MemoryShortError
from metanas.meta.gradient import MetaGradient, Verdict
from metanas.objective import Objective, blind
from metanas.params import MetaParams, tree_map
from metanas.recorder import Engine, is_recorded, recorded
from tasks.episode import Batch, Episode

log = logging.getLogger(__name__)

Execute = Literal["auto", "fold", "loop"]
"""`auto` folds."""


class Executor:
    """Asks the tasks of a meta-batch for their verdict, in calls that fit into memory.

    Args:
        gradient: how tasks are asked.
        how: see `Execute`.
        engine: whether a call is recorded on a GPU, see `metanas.recorder`; `higher` never is.
    """

    def __init__(
        self, gradient: MetaGradient, how: Execute = "auto", engine: Engine | Literal["higher"] = "auto"
    ) -> None:
        self.gradient = gradient
        self._engine = engine
        self._most = 1 if how == "loop" else None  # tasks in a call; None means all

    def __call__(self, loss: Objective, start: MetaParams, episodes: Episode) -> Verdict:
        """The verdict of episodes stacked on a leading `tasks` axis.

        Raises:
            MemoryShortError: a single task needs more memory than there is.
        """
        return merge(list(self._verdicts(loss, start, episodes)))

    def _verdicts(self, loss: Objective, start: MetaParams, episodes: Episode) -> Iterator[Verdict]:
        first, tasks = 0, len(episodes.support.y)
        while first < tasks:
            size = min(self._most or tasks, tasks - first)
            part = slice(first, first + size)
            try:
                verdict = self._ask(loss, start, Episode(*(Batch(b.x[part], b.y[part]) for b in episodes)))
            except RuntimeError as error:  # torch.OutOfMemoryError is one, and a CPU's has no type of its own
                if not _is_out_of_memory(error):
                    raise
                self._halve(size, error)
                continue
            yield verdict
            first += size

    def _ask(self, loss: Objective, start: MetaParams, episodes: Episode) -> Verdict:
        device = episodes.support.x.device
        if not is_recorded(self._engine, device):
            return self.gradient(loss, start, episodes)
        return recorded(("verdict", self.gradient), self.gradient, blind(loss, device), start, episodes)

    def _halve(self, size: int, error: RuntimeError) -> None:
        """From now on half of `size` tasks in a call; later meta-batches do not try the larger size again."""
        if size == 1:
            raise MemoryShortError(
                "a single task needs more memory than there is; lower space.width, data.resolution, task.n_query or "
                "inner.steps, or set inner.first_order=true"
            ) from error
        self._most = -(-size // 2)
        log.warning("memory does not suffice for %d tasks in one call: going on with %d", size, self._most)


def merge(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of all tasks together, its gradient still the sum over them."""
    if len(verdicts) == 1:
        return verdicts[0]
    total = verdicts[0].gradient
    for verdict in verdicts[1:]:  # in the order of the tasks: the sum is the same in every run
        total = tree_map(torch.add, total, verdict.gradient)
    return Verdict(total, torch.cat([v.query_loss for v in verdicts]))


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
