"""One step of training a derived network from scratch (DARTS, arXiv 1806.09055, section 3.2).

Networks and optimisers here are torch's own and change in place: nothing differentiates through them.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from metanas.networks.drop_path import DropPath
from metanas.networks.network import DerivedNetwork
from tasks.episode import Batch


class Stepped(NamedTuple):
    """What a step saw, before it moved the weights."""

    loss: float
    """Mean cross-entropy in nats, with the auxiliary head's share."""
    accuracy: float
    """Share of the images that were classified correctly, in [0, 1]; edges are dropped while it is measured."""


def sgd(net: nn.Module, *, momentum: float, decay: float) -> torch.optim.SGD:
    """The optimiser of a network; its step size comes with each step."""
    return torch.optim.SGD(net.parameters(), lr=0.0, momentum=momentum, weight_decay=decay)


def step(
    net: DerivedNetwork,
    optimiser: torch.optim.SGD,
    batch: Batch,
    *,
    lr: float,
    drop_path: DropPath,
    auxiliary: float,
    clip: float,
    autocast: torch.dtype | None = None,
) -> Stepped:
    """Moves the weights once, and the running statistics of the norms.

    Args:
        net: in place.
        optimiser: of its weights, in place.
        batch: images `[n, c, h, w]` and labels `[n]` on the device of the network.
        lr: the step size.
        drop_path: drops edges.
        auxiliary: weight of the auxiliary head's loss.
        clip: largest norm of the gradient; 0 never clips.
        autocast: what convolutions and matrix products compute in; None leaves all in the dtype of the weights.
    """
    net.train()
    with torch.autocast(batch.x.device.type, autocast, enabled=autocast is not None):
        prediction = net(batch.x, drop_path)
        loss: Tensor = prediction.loss(batch.y, auxiliary)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if clip:
        clip_grad_norm_(net.parameters(), clip)
    for group in optimiser.param_groups:
        group["lr"] = lr
    optimiser.step()
    right = (prediction.logits.detach().argmax(1) == batch.y).float().mean()
    return Stepped(float(loss.detach()), float(right))
