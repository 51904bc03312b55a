"""Logits and weights at once, on the same images: one loss, one backward pass (SNAS, Xie et al. 2019, 1812.09926)."""

from dataclasses import dataclass

from torch import Tensor, nn

from metanas.optim import Adam, Sgd
from metanas.params import MetaParams, Metrics, detach
from metanas.relax.relaxation import Relaxation
from metanas.search.searcher import Pace, SearchState, sampled, slope
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
        params = detach(state.params, requires_grad=True)
        value: Tensor = sampled(self.net, self.relaxation, state.params.arch, pace)(params, train)
        both = slope(value, params.weights | params.arch)
        gradient = MetaParams({k: both[k] for k in params.weights}, {k: both[k] for k in params.arch})
        arch, adam = state.params.arch, state.adam
        if pace.moves_arch:
            moved, adam = self.adam.update(MetaParams({}, gradient.arch), adam, MetaParams({}, arch))
            arch = moved.arch
        weights, momentum = self.sgd.update(gradient.weights, state.momentum, state.params.weights, pace.lr_weights)
        return SearchState(MetaParams(weights, arch), momentum, adam), {"search/train_loss": float(value.detach())}
