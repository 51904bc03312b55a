"""The loss of a task as a function of weights and logits: the only thing that meta-learning sees of a network."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from metanas.params import MetaParams, Params
from metanas.prototypes import Frame, class_means, directions, one_hot, whitened
from metanas.recorder import as_input
from metanas.relax.relaxation import Relaxation, Temperature
from metanas.viewing import Viewing
from tasks.episode import Batch

LossFn = Callable[[MetaParams, Batch], Tensor]
"""The mean loss of each task's batch, in nats where the criterion is cross-entropy, shape [*tasks]."""

Criterion = Callable[[Tensor, Tensor], Tensor]
"""Logits `[*tasks, n, n_way]` and labels `[*tasks, n]` to the mean loss of each task, shape [*tasks]."""


def cross_entropy(logits: Tensor, y: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy in nats; a `Criterion`. `smoothing` is the share of a label that all classes get alike."""
    loss = F.cross_entropy(logits.flatten(0, -2), y.flatten(), reduction="none", label_smoothing=smoothing)
    return loss.view(y.shape).mean(-1)


@dataclass(frozen=True)
class SmoothedCrossEntropy:
    """Cross-entropy in nats of labels of which a share is spread over all classes alike; a `Criterion`.

    Two of the same share are equal, as recorded work needs its arguments to be (`metanas.recorder`).
    """

    smoothing: float

    def __call__(self, logits: Tensor, y: Tensor) -> Tensor:
        """See `Criterion`."""
        return cross_entropy(logits, y, self.smoothing)


def relation_error(logits: Tensor, y: Tensor) -> Tensor:
    """Squared error of the relation scores, 1 for the right class and 0 for the others; a `Criterion`.

    Sung et al. 2018 (arXiv 1711.06025), equation 2: summed over classes, here with the mean over images.
    """
    wanted = one_hot(y, logits.shape[-1]).to(logits)
    return (torch.sigmoid(logits) - wanted).square().sum(-1).mean(-1)


class SkipDropout(NamedTuple):
    """Features behind skip connections set to zero at random (P-DARTS, Chen et al. 2019, 1904.12760, section 3.3)."""

    prob: float
    """Probability of a zero, above 0 and below 1; what is left is divided by 1 - prob."""
    seed: int
    """Of the draws: the same in every forward pass, so that a loss stays a function of its arguments."""

    def begin(self) -> Callable[[Tensor], Tensor]:
        """What one forward pass does to the output of a skip connection, one after another."""
        rng = torch.Generator().manual_seed(self.seed)

        def drop(x: Tensor) -> Tensor:
            keep = torch.rand(x.shape, generator=rng) >= self.prob
            return x * keep.to(x) / (1 - self.prob)

        return drop


@runtime_checkable
class Objective(Protocol):
    """A `LossFn` whose classifier may also be given by a support set instead of being learned."""

    def __call__(self, params: MetaParams, batch: Batch) -> Tensor:
        """See `LossFn`."""
        ...

    def blind(self, device: torch.device) -> "Objective":
        """See `Recordable`."""
        ...

    def with_class_means(self, params: MetaParams, support: Batch) -> MetaParams:
        """`params` with the classifier that the support set defines, differentiable in `params`.

        Args:
            params: `[*tasks, ...]`; its classifier is not looked at.
            support: labelled images, at least one of each class; they are normalised with their own statistics.
        """
        ...


@runtime_checkable
class Recordable(Protocol):
    """A loss that can be computed without a look at any value, as recorded work has to be (`metanas.recorder`)."""

    def blind(self, device: torch.device) -> LossFn:
        """The same loss for that, its numbers as tensors on `device`."""
        ...


def blind(loss: LossFn, device: torch.device) -> LossFn:
    """`loss` for recorded work; raises `TypeError` for one that cannot be recorded."""
    if not isinstance(loss, Recordable):
        raise TypeError(f"expected a loss that can be recorded, got a {type(loss).__name__}")
    return loss.blind(device)


@runtime_checkable
class Staged(Protocol):
    """A loss that changes from step to step of an inner loop."""

    def stage(self, step: int, steps: int) -> LossFn:
        """The loss of step number `step`, counted from 0, of a loop in which it changes over `steps` steps."""
        ...


def staged(loss: LossFn, step: int, steps: int) -> LossFn:
    """`loss` as it is in step number `step` of a loop in which it may change over `steps` steps; most never do."""
    return loss.stage(step, steps) if isinstance(loss, Staged) else loss


@dataclass(frozen=True)
class Mean:
    """The mean of several losses, such as those of one network under several samples of its gates; a `LossFn` and
    `Staged`, where each loss that is stays so."""

    losses: Sequence[LossFn]

    def stage(self, step: int, steps: int) -> "Mean":
        """See `Staged`."""
        return Mean([staged(loss, step, steps) for loss in self.losses])

    def blind(self, device: torch.device) -> "Mean":
        """See `Recordable`."""
        return Mean([blind(loss, device) for loss in self.losses])

    def __call__(self, params: MetaParams, batch: Batch) -> Tensor:
        """See `LossFn`."""
        return torch.stack([loss(params, batch) for loss in self.losses]).mean(0)


@dataclass(frozen=True)
class Classification:
    """The loss of a network of some space; implements `Objective`, `Staged` and `Recordable`.

    Parameters and batches may have a leading `tasks` axis; the losses of the tasks are then independent.
    """

    net: nn.Module
    """A skeleton on the `meta` device; called as `metanas.spaces.network.CellNetwork.forward` says."""
    relaxation: Relaxation | None = None
    """How `arch` becomes gates; None for a child, which has no gates."""
    temperature: Temperature = 1.0
    """Handed to the relaxation."""
    noise: Params = field(default_factory=dict)
    """Handed to the relaxation; one sample serves all inner steps."""
    rest_arch: bool = False
    """The gates count as constants: the loss does not depend on the logits, so no inner loop moves them."""
    criterion: Criterion = cross_entropy
    drop: SkipDropout | None = None
    """What is dropped behind skip connections; a network of cells takes it, others do not."""
    temperature_first: Temperature | None = None
    """In the first step of an inner loop, from which the temperature falls linearly to `temperature` in the last one,
    anew for every task (MetaNAS, arXiv 1911.11090, section 3.3); None keeps it."""

    viewing: Viewing = Viewing()

    is_blind: bool = False
    """Compute options whose gate is zero too, where they could be left out: no step looks at a value."""

    def blind(self, device: torch.device) -> "Classification":
        """See `Recordable`; not for one that drops, whose zeros the host draws."""
        if self.drop is not None:
            raise TypeError("what is dropped behind skip connections is drawn by the host in every pass")
        return replace(
            self,
            temperature=as_input(self.temperature, device),
            temperature_first=None if self.temperature_first is None else as_input(self.temperature_first, device),
            is_blind=True,
        )

    def stage(self, step: int, steps: int) -> "Classification":
        """See `Staged`; a loop of a single step has the temperature of the last."""
        if self.temperature_first is None:
            return self
        share = min(1.0, step / (steps - 1)) if steps > 1 else 1.0
        now = self.temperature_first + share * (self.temperature - self.temperature_first)
        return replace(self, temperature=now, temperature_first=None)

    def __call__(self, params: MetaParams, batch: Batch) -> Tensor:
        """See `LossFn`."""
        return self.criterion(self.logits(params, batch.x), batch.y)

    def logits(self, params: MetaParams, x: Tensor, rows: int | None = None) -> Tensor:
        """Logits `[*tasks, n, n_way]` for images `[*tasks, n, c, h, w]`; `rows` as in `metanas.spaces.norm.Norm`."""
        return self._call(params, x, {"rows": rows})

    def features(self, params: MetaParams, x: Tensor) -> Tensor:
        """What the classifier sees, `[*tasks, n, features]`, for images `[*tasks, n, c, h, w]`."""
        return self._call(params, x, {"headless": True})

    def with_class_means(self, params: MetaParams, support: Batch) -> MetaParams:
        """See `Objective`."""
        means = class_means(self.features(params, support.x), support.y, self.n_way)
        return _with_head(params, self.net.head.of_means(means))  # type: ignore[union-attr, operator]

    def with_class_directions(self, params: MetaParams, support: Batch) -> MetaParams:
        """As `with_class_means`, but an image belongs to the class at the smallest angle to its features.

        Angles are seen in the `frame` of the images around the task. The length of its features scales an image's
        logits and changes no decision, so this too is a linear classifier. For networks with a `LinearHead`.
        """
        frame = self.frame(params, support.x)
        found = directions(frame.of(self.features(params, support.x)), support.y, self.n_way)
        weight = found if frame.scaling is None else found @ frame.scaling
        return _with_head(params, {"weight": weight, "bias": -(weight * frame.origin).sum(-1)})

    def frame(self, params: MetaParams, x: Tensor) -> Frame:
        """From where angles between features of the images `x` `[*tasks, n, c, h, w]` are seen.

        From the mean features of the reference images, where there are any (Wang et al. 2019, arXiv 1911.04623, section
        3.2): features behind a ReLU all lie on one side of zero. With background images it is their mean features, and
        what these say about how directions vary (`metanas.prototypes.whitened`).
        """
        beside, background = self.viewing.reference, self.viewing.background
        if beside is None:
            return Frame(x.new_zeros(()))
        around = beside if background is None else background
        alone = replace(self, viewing=Viewing(reference=None if background is None else beside))
        seen = alone.features(params, around.to(x).expand(*x.shape[:-4], *around.shape))
        return Frame(seen.mean(-2, keepdim=True)) if background is None else whitened(seen)

    @property
    def n_way(self) -> int:
        """Classes that the network tells apart."""
        n_way = self.net.head.n_way  # type: ignore[union-attr]
        assert isinstance(n_way, int)
        return n_way

    def _call(self, params: MetaParams, x: Tensor, options: dict[str, object]) -> Tensor:
        gates = None
        if self.drop is not None:
            options = options | {"after_skip": self.drop.begin()}
        if self.relaxation is not None:
            options = options | {"sparse": self.relaxation.sparse and not self.is_blind}
            arch = {k: a.detach() for k, a in params.arch.items()} if self.rest_arch else params.arch
            gates = self.relaxation(arch, self.temperature, self.noise) or None  # a fixed architecture has none
        rows = options.get("rows")
        assert rows is None or isinstance(rows, int)
        x, rows = self.viewing.shown(x, rows)
        options = options | {"rows": rows}
        # our networks tie no weights, and looking for ties takes a tenth of the time
        out = functional_call(self.net, params.weights, (x, gates), options, tie_weights=False)
        assert isinstance(out, Tensor)
        return self.viewing.merged(out)


def _with_head(params: MetaParams, head: Params) -> MetaParams:
    """`params` with another classifier, of these weights by their names in it."""
    return params._replace(weights=params.weights | {f"head.{name}": weight for name, weight in head.items()})
