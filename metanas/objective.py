"""The loss of a task as a function of weights and logits: the only thing that meta-learning sees of a network."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from metanas.params import MetaParams, Params
from metanas.relax.relaxation import Relaxation
from tasks.episode import Batch

LossFn = Callable[[MetaParams, Batch], Tensor]
"""The mean loss in nats of each task's batch, shape [*tasks]."""


@dataclass(frozen=True)
class Classification:
    """Cross-entropy of a network of some space; an instance is a `LossFn`.

    Parameters and batches may have a leading `tasks` axis; the losses of the tasks are then independent.
    """

    net: nn.Module
    """A skeleton on the `meta` device; called as `metanas.spaces.network.CellNetwork.forward` says."""
    relaxation: Relaxation | None = None
    """How `arch` becomes gates; None for a child, which has no gates."""
    temperature: float = 1.0
    """Handed to the relaxation."""
    noise: Params = field(default_factory=dict)
    """Handed to the relaxation; one sample serves all inner steps."""
    rest_arch: bool = False
    """The gates count as constants: the loss does not depend on the logits, so no inner loop moves them."""

    def __call__(self, params: MetaParams, batch: Batch) -> Tensor:
        """See `LossFn`."""
        logits = self.logits(params, batch.x)
        loss = F.cross_entropy(logits.flatten(0, -2), batch.y.flatten(), reduction="none")
        return loss.view(batch.y.shape).mean(-1)

    def logits(self, params: MetaParams, x: Tensor, rows: int | None = None) -> Tensor:
        """Logits `[*tasks, n, n_way]` for images `[*tasks, n, c, h, w]`; `rows` as in `metanas.spaces.norm.Norm`."""
        if self.relaxation is None:
            options: dict[str, object] = {"rows": rows}
            gates = None
        else:
            options = {"rows": rows, "sparse": self.relaxation.sparse}
            arch = {k: a.detach() for k, a in params.arch.items()} if self.rest_arch else params.arch
            gates = self.relaxation(arch, self.temperature, self.noise)
        # our networks tie no weights, and looking for ties takes a tenth of the time
        out = functional_call(self.net, params.weights, (x, gates), options, tie_weights=False)
        assert isinstance(out, Tensor)
        return out
