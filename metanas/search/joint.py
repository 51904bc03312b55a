"""Logits and weights at once, on the same images: one loss, one backward pass (SNAS, Xie et al. 2019, 1812.09926)."""

from dataclasses import dataclass

from torch import Tensor, nn

from metanas.objective import LossFn
from metanas.optim import Adam, Sgd
from metanas.params import MetaParams, Metrics, detach
from metanas.relax.relaxation import Relaxation
from metanas.search.searcher import Pace, SearchState, called, sampled, slope
from tasks.episode import Batch


@dataclass(frozen=True)
class Joint:
    """Both gradients of the training loss under one sample of the gates; a `Searcher`. Validation images are unused."""

    net: nn.Module
    """The supernet's skeleton."""
    relaxation: Relaxation
    sgd: Sgd
    adam: Adam

    def init(self, start: MetaParams) -> SearchState:
        """See `Searcher`."""
        return SearchState(start, self.sgd.init(start.weights), self.adam.init(MetaParams({}, start.arch)))

    def step(self, state: SearchState, train: Batch, valid: Batch, pace: Pace) -> tuple[SearchState, Metrics]:
        """See `Searcher`."""
        del valid
        loss = sampled(self.net, self.relaxation, state.params.arch, pace)
        gradient, value = called(pace.is_recorded, both, loss, state.params, train)
        arch, adam = state.params.arch, state.adam
        if pace.moves_arch:
            stepped, adam = self.adam.update(MetaParams({}, gradient.arch), adam, MetaParams({}, arch))
            arch = stepped.arch
        weights, momentum = self.sgd.update(gradient.weights, state.momentum, state.params.weights, pace.lr_weights)
        return SearchState(MetaParams(weights, arch), momentum, adam), {"search/train_loss": float(value)}


def both(loss: LossFn, params: MetaParams, train: Batch) -> tuple[MetaParams, Tensor]:
    """d training loss / d weights and logits, and the loss, shape []."""
    leaves = detach(params, requires_grad=True)
    value = loss(leaves, train)
    found = slope(value, leaves.weights | leaves.arch)
    parts = ({name: found[name] for name in part} for part in (params.weights, params.arch))
    return MetaParams(*parts), value.detach()
