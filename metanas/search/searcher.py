"""The role of a differentiable searcher: one step on weights and logits as a function of the state and two batches.

A method is a combination: a relaxation (how logits become gates), an architecture gradient (what the logits descend),
two optimisers, and perhaps a penalty on the logits. `Bilevel` steps on logits and weights in turn, `Joint` on both at
once; the files of this package named after methods put them together.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from metanas.objective import Classification, LossFn, SkipDropout, blind
from metanas.optim import AdamState, Number, Sgd
from metanas.params import MetaParams, Metrics, Params, detach
from metanas.recorder import as_input, recorded
from metanas.relax.relaxation import Relaxation
from tasks.episode import Batch

T = TypeVar("T")

Penalty = Callable[[Params], Tensor]
"""Logits by cell kind -> what is added to the loss of the logits, shape []; times `Pace.penalty`."""


class SearchState(NamedTuple):
    """Everything that a search carries from step to step; a checkpoint is this tuple."""

    params: MetaParams
    """Weights and logits of the supernet."""
    momentum: Params
    """The buffer of the weights' optimiser."""
    adam: AdamState
    """The moments of the logits' optimiser; its trees hold no weights."""


class Pace(NamedTuple):
    """What the schedules say about one step."""

    lr_weights: float
    """Step size of the weights."""
    temperature: float
    """Handed to the relaxation."""
    moves_arch: bool
    """Whether the logits move; not in a warm-up."""
    penalty: float
    """Weight of the method's penalty."""
    rng: torch.Generator
    """What is random about the gates of this step, and about what is dropped."""
    drop: float = 0.0
    """Share of the features behind skip connections that is dropped."""
    is_recorded: bool = False
    """Whether gradients that can be are recorded on a GPU and replayed (`metanas.recorder`); not where anything is
    dropped."""


@runtime_checkable
class Searcher(Protocol):
    """A differentiable search method."""

    @property
    def relaxation(self) -> Relaxation:
        """How the logits become gates."""
        ...

    def init(self, start: MetaParams) -> SearchState:
        """The state before the first step."""
        ...

    def step(self, state: SearchState, train: Batch, valid: Batch, pace: Pace) -> tuple[SearchState, Metrics]:
        """One step; a function of its arguments.

        Args:
            state: before the step.
            train: images for the weights.
            valid: other images for the logits; a joint searcher does not look at them.
            pace: step sizes, temperature and randomness.

        Returns:
            The state after the step, and the losses in nats that it saw.
        """
        ...


def sampled(net: nn.Module, relaxation: Relaxation, arch: Params, pace: Pace) -> Classification:
    """The loss of the supernet with gates drawn anew for `arch`, one sample for all cells of a kind."""
    noise, drop = relaxation.draw(arch, pace.rng), None
    if pace.drop > 0:
        drop = SkipDropout(pace.drop, int(torch.randint(2**62, (), generator=pace.rng)))
    return Classification(net, relaxation, pace.temperature, noise, drop=drop)


class Moved(NamedTuple):
    """Weights after a step, and what was seen on the way."""

    weights: Params
    momentum: Params
    loss: Tensor
    """The training loss before the step in nats, shape []."""


def moved(loss: LossFn, params: MetaParams, train: Batch, sgd: Sgd, momentum: Params, lr: Number) -> Moved:
    """One step of the weights along the training loss, the logits held fixed."""
    leaves = detach(MetaParams(params.weights, {}), requires_grad=True).weights
    value = loss(MetaParams(leaves, params.arch), train)
    weights, momentum = sgd.update(slope(value, leaves), momentum, params.weights, lr)
    return Moved(weights, momentum, value.detach())


def called(is_recorded: bool, function: Callable[..., T], loss: LossFn, params: MetaParams, *arguments: Any) -> T:
    """`function(loss, params, *arguments)`, on a GPU as work that is recorded once (`metanas.recorder`) if it should.

    Numbers among the arguments that change from step to step then go along as tensors.
    """
    if not is_recorded:
        return function(loss, params, *arguments)
    device = next(iter(params.arch.values())).device
    sent = [as_input(each, device) if isinstance(each, float) else each for each in arguments]
    return recorded(function, function, blind(loss, device), params, *sent)


def slope(value: Tensor, leaves: Params) -> Params:
    """d value / d leaves; zeros where `value` does not depend on a leaf, as when all sampled operations are `none`."""
    if not value.requires_grad:
        return {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    found = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
    return {
        name: torch.zeros_like(leaf) if g is None else g for (name, leaf), g in zip(leaves.items(), found, strict=True)
    }
