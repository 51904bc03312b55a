"""Steps of the inner loop by Adam without momentum (Kingma & Ba 2015, arXiv 1412.6980, with beta1 = 0).

MetaNAS (Elsken et al. 2020, arXiv 1911.11090) and Reptile (Nichol et al. 2018, arXiv 1803.02999, section 6) adapt so:
every number moves by about its step size, however small its gradient is. Nothing can be differentiated through such a
step but its identity, which is all that Reptile and first-order gradients ask for. Deviations from MetaNAS: the squares
begin anew with every task, where they are carried from task to task in its meta-training, and logits do not decay.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from metanas.errors import ConfigError
from metanas.meta.gradient_of import grad
from metanas.params import MetaParams, leaves, like

BETA2, EPS = 0.999, 1e-8


class AdaptiveDescent:
    """The steps of one inner loop, called as `metanas.meta.adapt.descend`; it remembers the squared gradients."""

    def __init__(self) -> None:
        self._squares: dict[int, tuple[int, Tensor]] = {}
        """How often an entry has moved, and the moving mean of its squared gradient."""

    def __call__(
        self, value: Tensor, params: MetaParams, sizes: Sequence[float | Tensor], *, exact: bool
    ) -> MetaParams:
        """One step; see `metanas.meta.adapt.descend`. Raises `ConfigError` where it should be `exact`."""
        if exact:
            raise ConfigError(
                "inner.optimiser=adam cannot be differentiated through: expected inner.first_order=true, got false"
            )
        gradient = grad(value, params, [isinstance(size, Tensor) or size != 0 for size in sizes])
        moved = leaves(params)
        for i, (g, size) in enumerate(zip(gradient, sizes, strict=True)):
            if g is not None:
                moved[i] = moved[i] - size * self._direction(i, g)
        return like(params, moved)

    def _direction(self, entry: int, g: Tensor) -> Tensor:
        steps, square = self._squares.get(entry, (0, torch.zeros_like(g)))
        steps, square = steps + 1, BETA2 * square + (1 - BETA2) * g * g
        self._squares[entry] = (steps, square)
        return g / ((square / (1 - BETA2**steps)).sqrt() + EPS)
