"""One step of the inner loop by the differentiable optimiser of `higher` (Grefenstette et al. 2019, arXiv 1910.01727).

The same mathematics as `metanas.meta.adapt.descend`, written by others: to compare with, and for whoever builds on
`higher`. Networks are functions of their weights here, so its patching of modules has nothing to do. Trap: with
`track_higher_grads=False` the result would not be connected to the start at all, so first order keeps the graph and
cuts the gradients instead, which takes as much memory as second order.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from metanas.errors import ConfigError
from metanas.params import MetaParams, leaves, like


def check_higher() -> None:
    """Raises `ConfigError` where the package is not installed."""
    try:
        import higher  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "inner.engine=higher needs the package higher, which cannot be imported; "
            "pip install 'higher>=0.2.1,<0.3', or take inner.engine=plain"
        ) from error


def descend(value: Tensor, params: MetaParams, sizes: Sequence[float | Tensor], *, exact: bool) -> MetaParams:
    """See `metanas.meta.adapt.descend`."""
    from higher.optim import DifferentiableSGD

    if not value.requires_grad:  # it depends on nothing that moves, such as logits that rest
        return params
    tensors = leaves(params)
    moving = [i for i, size in enumerate(sizes) if isinstance(size, Tensor) or size]
    shapes = [nn.Parameter(torch.empty(0)) for _ in moving]  # stand for the parameters that torch's SGD insists on
    groups = torch.optim.SGD([{"params": [shape], "lr": 1.0} for shape in shapes])
    optimiser = DifferentiableSGD(groups, shapes, override={"lr": [sizes[i] for i in moving]})
    cut = None if exact else lambda gradient: [None if g is None else g.detach() for g in gradient]
    moved = optimiser.step(value, params=[tensors[i] for i in moving], grad_callback=cut)
    for i, tensor in zip(moving, moved, strict=True):
        tensors[i] = tensor
    return like(params, tensors)
