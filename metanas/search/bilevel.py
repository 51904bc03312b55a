"""Logits and weights in turn, on different images (DARTS, Liu et al. 2019, arXiv 1806.09055, algorithm 1)."""

from dataclasses import dataclass

from torch import Tensor, nn

from metanas.optim import Adam, Sgd
from metanas.params import MetaParams, Metrics, detach
from metanas.relax.relaxation import Relaxation
from metanas.search.arch_gradient import ArchGradient, WeightStep
from metanas.search.searcher import Pace, Penalty, SearchState, sampled, slope
from tasks.episode import Batch


@dataclass(frozen=True)
class Bilevel:
    """A step of the logits on a validation batch, then one of the weights on a training batch; a `Searcher`.

    Gates are drawn anew for each of the two.
    """

    net: nn.Module
    """The supernet's skeleton."""
    relaxation: Relaxation
    gradient: ArchGradient
    sgd: Sgd
    adam: Adam
    penalty: Penalty | None = None

    def init(self, start: MetaParams) -> SearchState:
        """See `Searcher`."""
        return SearchState(start, self.sgd.init(start.weights), self.adam.init(MetaParams({}, start.arch)))

    def step(self, state: SearchState, train: Batch, valid: Batch, pace: Pace) -> tuple[SearchState, Metrics]:
        """See `Searcher`."""
        params, adam, metrics = state.params, state.adam, Metrics()
        if pace.moves_arch:
            loss = sampled(self.net, self.relaxation, params.arch, pace)
            ahead = WeightStep(pace.lr_weights, self.sgd.momentum, self.sgd.decay, state.momentum)
            found = self.gradient(loss, params, train, valid, ahead)
            gradient = found.gradient
            if self.penalty is not None:
                logits = detach(MetaParams({}, params.arch), requires_grad=True).arch
                pull = slope(self.penalty(logits), logits)
                gradient = {name: g + pace.penalty * pull[name] for name, g in gradient.items()}
            moved, adam = self.adam.update(MetaParams({}, gradient), adam, MetaParams({}, params.arch))
            params = MetaParams(params.weights, moved.arch)
            metrics["search/valid_loss"] = float(found.loss)
        leaves = detach(MetaParams(params.weights, {}), requires_grad=True).weights
        value: Tensor = sampled(self.net, self.relaxation, params.arch, pace)(MetaParams(leaves, params.arch), train)
        weights, momentum = self.sgd.update(slope(value, leaves), state.momentum, params.weights, pace.lr_weights)
        metrics["search/train_loss"] = float(value.detach())
        return SearchState(MetaParams(weights, params.arch), momentum, adam), metrics
