"""Adaptation as a new task meets it: the inner loop, with nothing differentiated through it."""

from metanas.meta.adapt import Inner, adapt
from metanas.objective import LossFn, blind
from metanas.params import MetaParams, detach
from metanas.recorder import is_recorded, recorded
from tasks.episode import Batch


def adapted(loss: LossFn, start: MetaParams, support: Batch, inner: Inner) -> MetaParams:
    """Where `adapt` ends, `[tasks, ...]`, apart from the autograd graph; on a GPU the whole loop is one CUDA graph.

    Args:
        loss: see `adapt`; on a GPU a `Recordable` one, unless `inner.engine` records nothing.
        start: of each task, `[tasks, ...]`.
        support: of all tasks, `[tasks, n, ...]`.
        inner: steps and step sizes; it counts as first-order.
    """

    def run(loss: LossFn, start: MetaParams, support: Batch) -> MetaParams:
        return detach(adapt(loss, detach(start, requires_grad=True), support, inner))

    device = support.x.device
    if is_recorded(inner.engine, device):
        return recorded(("adapted", inner), run, blind(loss, device), start, support)
    return run(loss, start, support)
