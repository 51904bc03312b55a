"""How architecture logits become gates: the one place where searchers of the DARTS family differ.

Softmax is DARTS, softmax with Gumbel noise is SNAS, a straight-through sample is GDAS, a Dirichlet sample is DrNAS. A
relaxation is deterministic: what is random about a task is drawn before and handed in, so one sample can serve all
inner steps.
"""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from metanas.errors import ConfigError
from metanas.params import Params

Temperature = float | Tensor
"""Units of logits; a tensor `[]` where a step is recorded once for every temperature (`metanas.recorder`)."""


@runtime_checkable
class Relaxation(Protocol):
    """Turns logits into gates of the same shapes."""

    @property
    def sparse(self) -> bool:
        """Whether gates that are exactly zero stand for options that need not be computed."""
        ...

    def __call__(self, arch: Params, temperature: Temperature, noise: Params) -> Params:
        """Gates for `arch`.

        Args:
            arch: logits by cell kind, each `[edges, ops]`.
            temperature: how far the gates are from a decision; each relaxation says what it means, in units of logits.
            noise: of the same shapes, by `draw`; empty for the noiseless gates used at test.
        """
        ...

    def draw(self, arch: Params, rng: torch.Generator) -> Params:
        """What is random about the gates of `arch`, for the argument `noise`; empty where nothing is."""
        ...


def check_positive(temperature: Temperature, what: str) -> None:
    """Raises `ConfigError` for a number that is not above 0; to look at a tensor would make a GPU wait."""
    if not isinstance(temperature, Tensor) and temperature <= 0:
        raise ConfigError(f"{what} needs a temperature above 0, got {temperature}")


def gumbel(arch: Params, rng: torch.Generator) -> Params:
    """Standard Gumbel noise -log(-log U) in the shapes of `arch`, drawn on the CPU and moved to its device."""
    # U is kept away from 0 and 1, where the noise would be infinite.
    eps = 1e-6
    noise = {}
    for name, logits in arch.items():
        u = torch.rand(logits.shape, generator=rng, dtype=torch.float64).clamp(eps, 1 - eps)
        noise[name] = (-torch.log(-torch.log(u))).to(logits)
    return noise
