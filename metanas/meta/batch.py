"""How the verdicts of parts of a meta-batch become one.

A part is some tasks that run folded into one call (see `metanas.spaces.conv`). How a meta-batch is cut changes the
result by rounding only, and where its parts run not at all; memory and speed do depend on both.
"""

from collections.abc import Sequence

import torch

from metanas.meta.gradient import Verdict
from metanas.params import tree_map


def merge(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of all tasks together, its gradient still the sum over them."""
    total = verdicts[0].gradient
    for verdict in verdicts[1:]:  # in the order of the tasks: the sum is the same in every run
        total = tree_map(torch.add, total, verdict.gradient)
    return Verdict(total, torch.cat([v.query_loss for v in verdicts]))
