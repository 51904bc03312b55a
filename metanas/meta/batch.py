"""How a meta-batch is executed: which tasks run in one call, and how the verdicts of parts become one.

`fold` runs all tasks in one call, folded into the channels (see `metanas.spaces.conv`), `vmap` has torch do that (see
`metanas.meta.vmapped`), `loop` runs one task after another; on a GPU each kind of call is recorded once and replayed
(see `metanas.recorder`). How a meta-batch is cut changes the result by rounding only, and where its parts run not at
all; memory and speed do depend on both. Where memory does not suffice for a call, it is made for half as many tasks.
"""

from collections.abc import Sequence
from typing import Literal

import torch

from metanas.meta.gradient import MetaGradient, Verdict
from metanas.meta.portions import Portions
from metanas.meta.vmapped import Vmapped
from metanas.objective import Objective
from metanas.params import MetaParams, tree_map
from metanas.recorder import is_recorded, recorded
from tasks.episode import Episode

Execute = Literal["auto", "fold", "vmap", "loop"]
"""`auto` folds."""


class Executor:
    """Asks the tasks of a meta-batch for their verdict, in calls that fit into memory.

    Args:
        gradient: how tasks are asked.
        how: see `Execute`.
        engine: see `inner.engine`; whether a call is recorded on a GPU.
    """

    def __init__(self, gradient: MetaGradient, how: Execute = "auto", engine: str = "auto") -> None:
        self.gradient = gradient
        self._engine = engine
        self._is_vmapped = how == "vmap"
        self._portions = Portions(1 if how == "loop" else None)

    def __call__(self, loss: Objective, start: MetaParams, episodes: Episode) -> Verdict:
        """The verdict of episodes stacked on a leading `tasks` axis.

        Raises:
            MemoryShortError: a single task needs more memory than there is.
        """

        def ask(first: int, last: int) -> Verdict:
            return self._ask(loss, start, episodes.part(first, last))

        return merge(list(self._portions(len(episodes.support.y), ask)))

    def _ask(self, loss: Objective, start: MetaParams, episodes: Episode) -> Verdict:
        device = episodes.support.x.device
        if self._is_vmapped:
            loss = Vmapped(loss.blind(device))
        if not is_recorded(self._engine, device):
            return self.gradient(loss, start, episodes)
        return recorded(("verdict", self.gradient), self.gradient, loss.blind(device), start, episodes)


def merge(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of all tasks together, its gradient still the sum over them."""
    if len(verdicts) == 1:
        return verdicts[0]
    total = verdicts[0].gradient
    for verdict in verdicts[1:]:  # in the order of the tasks: the sum is the same in every run
        total = tree_map(torch.add, total, verdict.gradient)
    return Verdict(total, torch.cat([v.query_loss for v in verdicts]))
