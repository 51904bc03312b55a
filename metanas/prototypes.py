"""Classes as points among features: means of a support set, and means that unlabelled images have refined."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

SCALE = 10.0
"""Of cosines in a softmax; chosen among 5, 10 and 20 on the validation classes of FC100."""
SHRINKAGE = 0.5
"""Of a covariance of features towards equal variances; chosen among 0.3, 0.5, 0.7 and 0.85 on FC100's validation."""
ROUNDS = 10
"""Of refinement; in the tenth the shares of FC100's validation episodes move by less than a thousandth."""


def one_hot(y: Tensor, n_way: int) -> Tensor:
    """Which label is which class, `[*tasks, n, n_way]`; torch's own looks at the labels."""
    return y[..., None] == torch.arange(n_way, device=y.device)


def class_means(features: Tensor, y: Tensor, n_way: int) -> Tensor:
    """The mean of the features `[*tasks, n, d]` of each label, `[*tasks, n_way, d]`; each label has an image."""
    members = one_hot(y, n_way).to(features)
    return members.mT @ features / members.sum(-2)[..., None]


def directions(features: Tensor, y: Tensor, n_way: int) -> Tensor:
    """Class means on the unit sphere of features of length one (Gidaris & Komodakis 2018, arXiv 1804.09458)."""
    return F.normalize(class_means(F.normalize(features, dim=-1), y, n_way), dim=-1)


class Frame(NamedTuple):
    """Where features are seen from when they are compared by angle, and in which coordinates."""

    origin: Tensor
    """`[*tasks, 1, d]`, or `[]` for zero."""
    scaling: Tensor | None = None
    """`[*tasks, d, d]`, symmetric; None leaves the coordinates as they are."""

    def of(self, features: Tensor) -> Tensor:
        """Features `[*tasks, n, d]` in these coordinates."""
        moved = features - self.origin
        return moved if self.scaling is None else moved @ self.scaling


def whitened(background: Tensor) -> Frame:
    """The frame in which the features `[*tasks, n, d]`, n above 1, have mean zero and about equal variance everywhere.

    What varies between images of any class counts for less between two of them. Deviation from plain whitening: the
    covariance is shrunk towards a multiple of the identity (Ledoit & Wolf 2004), by `SHRINKAGE`, so that fewer images
    than dimensions do.
    """
    origin = background.mean(-2, keepdim=True)
    moved = background - origin
    covariance = moved.mT @ moved / (background.shape[-2] - 1)
    variances, axes = torch.linalg.eigh(covariance)
    mean = variances.mean(-1, keepdim=True)
    shrunk = (1 - SHRINKAGE) * variances.clamp(min=0) + SHRINKAGE * mean
    return Frame(origin, (axes * (mean / shrunk).sqrt()[..., None, :]) @ axes.mT)


class Refined(NamedTuple):
    """Classes that unlabelled images took part in."""

    directions: Tensor
    """Of the classes, on the unit sphere, `[*tasks, n_way, d]`."""
    shares: Tensor
    """Of every unlabelled image in every class, `[*tasks, m, n_way]`; they sum to one over the classes."""


def refined(support: Tensor, y: Tensor, query: Tensor, n_way: int, *, balanced: bool = False) -> Refined:
    """`directions` that the unlabelled query images take part in: soft k-means.

    Ren et al. 2018 (arXiv 1803.00676), section 3.1.1: a query image belongs to every class, with the
    share of a softmax over its likeness to the class means, and counts by its shares in the next means. Deviations:
    cosines times `SCALE` where the paper has squared distances, and `ROUNDS` times where it has one.

    Args:
        support: features `[*tasks, n, d]`.
        y: labels of the support set, `[*tasks, n]`; each label has an image.
        query: features `[*tasks, m, d]`.
        n_way: classes.
        balanced: the classes are known to be equally frequent among the query images, and share them equally.
    """
    support, query = (F.normalize(features, dim=-1) for features in (support, query))
    members = one_hot(y, n_way).to(support)
    share = balanced_shares if balanced else _shares
    found = directions(support, y, n_way)
    for _ in range(ROUNDS):
        summed = members.mT @ support + share(SCALE * query @ found.mT).mT @ query
        found = F.normalize(summed, dim=-1)  # a sum has the direction of a mean
    return Refined(found, share(SCALE * query @ found.mT))


def _shares(scores: Tensor) -> Tensor:
    return scores.softmax(-1)


def balanced_shares(scores: Tensor) -> Tensor:
    """Shares `[*tasks, m, n_way]` of images in classes, of which each class gets m / n_way in all.

    Of all such shares those nearest to the softmax of the scores, by Sinkhorn's iteration (Cuturi 2013, arXiv
    1306.0895), as Hu et al. 2020 (arXiv 2006.03806, section 3.3) assign query images. It ends with the images, so
    their shares sum to one, and the classes' are equal as far as `ROUNDS` bring them.
    """
    for _ in range(ROUNDS):
        scores = (scores - scores.logsumexp(-2, keepdim=True)).log_softmax(-1)
    return scores.exp()
