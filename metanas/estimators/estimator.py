"""The role of an estimator: how good is an architecture, and what does the answer cost?

A lookup in a published table is one; training each architecture from scratch would be another.
"""

from typing import NamedTuple, Protocol, runtime_checkable

from metanas.spaces.space import Genotype


class Estimate(NamedTuple):
    """An answer about one architecture."""

    score: float
    """Higher is better; an accuracy in [0, 1] where it is an accuracy."""
    seconds: float
    """What the answer costs: the time that training took, also where it is only looked up."""


@runtime_checkable
class Estimator(Protocol):
    """Tells a search how good an architecture is, from data that the search may see."""

    def __call__(self, genotype: Genotype) -> Estimate:
        """The estimate of `genotype`; raises `GenotypeError` for one that is not in the space."""
        ...


class Metered:
    """`estimator`, counting what has been asked; implements `Estimator`.

    Asking for the same architecture again counts again, as in the published comparisons.
    """

    def __init__(self, estimator: Estimator) -> None:
        self.estimator = estimator
        self.queries = 0
        """Estimates so far."""
        self.seconds = 0.0
        """The simulated clock: the cost of all of them."""

    def __call__(self, genotype: Genotype) -> Estimate:
        """See `Estimator`."""
        estimate = self.estimator(genotype)
        self.queries += 1
        self.seconds += estimate.seconds
        return estimate
