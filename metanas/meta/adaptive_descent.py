"""Steps of the inner loop by Adam without momentum (Kingma & Ba 2015, arXiv 1412.6980, with beta1 = 0).

MetaNAS (Elsken et al. 2020, arXiv 1911.11090) and Reptile (Nichol et al. 2018, arXiv 1803.02999, section 6) adapt so:
every number moves by about its step size, however small its gradient is. Nothing can be differentiated through such a
step but its identity, which is all that Reptile and first-order gradients ask for.

A square that has seen nothing makes the first step a sign, whatever the size of the gradient: of five steps that is
most of the way, and noise. MetaNAS carries the squares from task to task in meta-training, and begins each new task
with those that training has left; so does a start that has `squares`. Without them they begin anew with every task.

Deviations from MetaNAS: the tasks of a meta-batch begin with the same squares, which then become the mean of those at
their ends, where its tasks hand them on one by one; logits do not decay.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from metanas.errors import ConfigError
from metanas.meta.gradient_of import grad
from metanas.params import MetaParams, Params, leaves, like

BETA2, EPS = 0.999, 1e-8
LEAST = 1e-30
"""In place of the weight of nothing, which nothing is divided by."""


class AdaptiveDescent:
    """The steps of one inner loop, called as `metanas.meta.adapt.descend`; it remembers the squared gradients.

    All parameters have a leading `tasks` axis.

    Args:
        carried: squares that other tasks have left, as `initial_squares` lays them out, `[tasks, ...]`.
    """

    def __init__(self, carried: Params) -> None:
        self._squares = dict(carried)

    def __call__(
        self, value: Tensor, params: MetaParams, sizes: Sequence[float | Tensor], *, exact: bool
    ) -> MetaParams:
        """One step; see `metanas.meta.adapt.descend`. Raises `ConfigError` where it should be `exact`."""
        if exact:
            raise ConfigError(
                "inner.optimiser=adam cannot be differentiated through: expected inner.first_order=true, got false"
            )
        gradient = grad(value, params, [isinstance(size, Tensor) or size != 0 for size in sizes])
        names = [name for group in params for name in group]
        moved = leaves(params)
        for i, (name, g, size) in enumerate(zip(names, gradient, sizes, strict=True)):
            if g is not None:
                moved[i] = moved[i] - size * self._direction(name, g)
        return like(params, moved)._replace(squares={name: self._squares[name] for name in params.squares})

    def _direction(self, name: str, g: Tensor) -> Tensor:
        """What `g`, `[tasks, ...]`, becomes. A task whose gradient is all zero, as that of an operation which no gate
        lets through, has seen nothing, whether a call computes such operations or leaves them out."""
        before = self._squares[name].detach() if name in self._squares else torch.zeros(*g.shape, 2).to(g)
        seen = BETA2 * before + (1 - BETA2) * torch.stack([g * g, torch.ones_like(g)], -1)
        is_seen = (g != 0).reshape(len(g), -1).any(1).reshape(-1, *[1] * g.ndim)
        square = self._squares[name] = torch.where(is_seen, seen, before)
        return g / ((square[..., 0] / square[..., 1].clamp(min=LEAST)).sqrt() + EPS)


def initial_squares(params: MetaParams, names: Sequence[str]) -> Params:
    """What is carried before the first task, for the entries `names` of `params`: nothing seen, `[*shape, 2]`.

    The last axis has the moving sum of squared gradients and that of its own weights, 1 - beta2^t after t steps: their
    ratio is Adam's mean corrected for bias, and that of two means over tasks is one too.
    """
    return {name: torch.zeros(*p.shape, 2).to(p) for name, p in (params.weights | params.arch).items() if name in names}
