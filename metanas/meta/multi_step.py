"""The multi-step loss of MAML++ (Antoniou et al. 2019, arXiv 1810.09502, section 4): query losses of all steps."""

from dataclasses import dataclass

from metanas.meta.adapt import Inner
from metanas.meta.gradient import Verdict
from metanas.meta.maml import Maml
from metanas.objective import LossFn
from metanas.params import MetaParams
from tasks.episode import Episode

LEAST = 0.03
"""What the weight of a step that is not the last falls to, as a share of that with which it begins."""
STAGES = 10
"""In so many steps the weights change; the paper changes them in each of 10 or 15 epochs."""


@dataclass(frozen=True)
class MultiStep:
    """MAML whose query loss is a weighted sum over the inner steps; implements `MetaGradient` and `Scheduled`.

    Of M steps each begins with the weight 1 / M. Those of all but the last fall along a line, the last has the rest.
    After that the last step counts alone: without a schedule it is plain MAML.
    """

    inner: Inner
    share: float
    """Of meta-training, 0 to 1, in which earlier steps count; the paper takes a tenth."""

    def at(self, progress: float) -> Maml:
        """See `Scheduled`."""
        steps = self.inner.steps
        if progress >= self.share or steps < 2:
            return Maml(self.inner)
        fallen = int(STAGES * progress / self.share) / STAGES
        early = max(1 - fallen, LEAST) / steps
        return Maml(self.inner, (*[early] * (steps - 1), 1 - early * (steps - 1)))

    def __call__(self, loss: LossFn, start: MetaParams, episodes: Episode) -> Verdict:
        """See `MetaGradient`; at the end of the schedule."""
        return self.at(1.0)(loss, start, episodes)
