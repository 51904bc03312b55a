"""Logits and weights in turn, on different images (DARTS, Liu et al. 2019, arXiv 1806.09055, algorithm 1)."""

from dataclasses import dataclass

from torch import nn

from metanas.objective import LossFn
from metanas.optim import Adam, Sgd
from metanas.params import MetaParams, Metrics, Params, detach
from metanas.relax.relaxation import Relaxation
from metanas.search.arch_gradient import ArchGradient, ArchVerdict, WeightStep
from metanas.search.first_order import FirstOrder, first_order
from metanas.search.searcher import Pace, Penalty, SearchState, called, moved, sampled, slope
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
            found = self._verdict(loss, params, train, valid, state.momentum, pace)
            gradient = found.gradient
            if self.penalty is not None:
                logits = detach(MetaParams({}, params.arch), requires_grad=True).arch
                pull = slope(self.penalty(logits), logits)
                gradient = {name: g + pace.penalty * pull[name] for name, g in gradient.items()}
            stepped, adam = self.adam.update(MetaParams({}, gradient), adam, MetaParams({}, params.arch))
            params = MetaParams(params.weights, stepped.arch)
            metrics["search/valid_loss"] = float(found.loss)
        loss = sampled(self.net, self.relaxation, params.arch, pace)
        step = called(pace.is_recorded, moved, loss, params, train, self.sgd, state.momentum, pace.lr_weights)
        metrics["search/train_loss"] = float(step.loss)
        return SearchState(MetaParams(step.weights, params.arch), step.momentum, adam), metrics

    def _verdict(
        self, loss: LossFn, params: MetaParams, train: Batch, valid: Batch, momentum: Params, pace: Pace
    ) -> ArchVerdict:
        if isinstance(self.gradient, FirstOrder):
            return called(pace.is_recorded, first_order, loss, params, valid)
        # second-order gradients look at values: they are never recorded
        ahead = WeightStep(pace.lr_weights, self.sgd.momentum, self.sgd.decay, momentum)
        return self.gradient(loss, params, train, valid, ahead)
