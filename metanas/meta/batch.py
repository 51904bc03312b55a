"""How a meta-batch is executed: the one place that knows.

Tasks run folded into one call (see `metanas.spaces.conv`), `chunk` of them at a time, the chunks on several threads.
The result depends on `chunk` by rounding only, and on the number of threads not at all; memory and speed do.
"""

from collections.abc import Sequence

import torch

from metanas.meta.gradient import MetaGradient, Verdict
from metanas.objective import LossFn
from metanas.parallel import share_out
from metanas.params import MetaParams, tree_map
from tasks.episode import Episode, chunks


def mean_gradient(
    gradient: MetaGradient, losses: Sequence[LossFn], start: MetaParams, episodes: Episode, *, chunk: int = 0
) -> Verdict:
    """The mean over a meta-batch of the gradient with respect to `start`, and each task's query loss.

    Args:
        gradient: the rule.
        losses: the loss of several independent tasks, one equal copy for each thread.
        start: shared by all tasks, without a `tasks` axis.
        episodes: stacked on a leading `tasks` axis.
        chunk: tasks run at once; 0 runs all.
    """
    verdicts = share_out(lambda loss, part: gradient(loss, start, part), losses, chunks(episodes, chunk))
    query_loss = torch.cat([v.query_loss for v in verdicts])
    total = verdicts[0].gradient
    for verdict in verdicts[1:]:  # in the order of the tasks: the sum is the same in every run
        total = tree_map(torch.add, total, verdict.gradient)
    return Verdict(tree_map(lambda g: g / len(query_loss), total), query_loss)
