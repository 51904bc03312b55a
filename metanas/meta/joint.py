"""Joint pre-training: the loss of all tasks at the start itself, the baseline that meta-learning has to beat.

Train on everything together, adapt afterwards: the "pretrained" control of Finn et al. 2017 (arXiv 1703.03400, section
5.1). Labels that mean nothing outside an episode teach it only what does not depend on them, so on few-shot
classification its classifier stays undecided; what is to be had by then is for adaptation to find. Where labels are
classes (`task.labels=classes`) it learns to tell all training classes apart, and its features alone, with class means,
are hard to beat (Chen et al. 2019, arXiv 1904.04232; Tian et al. 2020, arXiv 2003.11539).
"""

from dataclasses import dataclass

import torch

from metanas.meta.gradient import Verdict
from metanas.meta.gradient_of import filled, grad
from metanas.objective import LossFn
from metanas.params import MetaParams, detach, like, spread
from tasks.episode import Batch, Episode


@dataclass(frozen=True)
class Joint:
    """d/d start of the loss of support and query together, with no inner loop; implements `MetaGradient`.

    The query loss that it reports is that of all images of a task, since none is held back. Learned rates get zeros.
    """

    def __call__(self, loss: LossFn, start: MetaParams, episodes: Episode) -> Verdict:
        """See `MetaGradient`."""
        start = detach(start, requires_grad=True)
        images = Batch(*(torch.cat(pair, dim=1) for pair in zip(*episodes, strict=True)))
        value = loss(spread(start, len(images.y)), images)
        return Verdict(like(start, filled(grad(value.sum(), start), start)), value.detach())
