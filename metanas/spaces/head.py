"""Classifiers at the end of a network: from the last feature maps to logits.

Every head can be *given* by the class means of a support set instead of being learned, and says by `of_means` which
weights these are. A metric learner is then an ordinary network whose head was written down rather than trained, so all
that scores, counts, stores and hands out networks holds for it too.
"""

from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from metanas.params import Params
from metanas.spaces.conv import by_tasks

HeadName = Literal["linear", "cosine", "relation"]
"""What a classifier may be, see `metanas.spaces.classifier`."""


@runtime_checkable
class Head(Protocol):
    """A classifier, the module that every network calls `head`."""

    def __call__(self, maps: Tensor, rows: int | None = None, *, headless: bool = False) -> Tensor:
        """Logits `[*tasks, n, n_way]` of feature maps `[n, tasks * C, h, w]`; `rows` as in `Norm`.

        With `headless` the features that class means are taken of, `[*tasks, n, features]`.
        """
        ...

    def of_means(self, means: Tensor) -> Params:
        """The weights, by their names in the head, of the classifier with class means `[*tasks, n_way, features]`."""
        ...


class FeatureHead(nn.Module):
    """What classifiers share that hold a row of weights for each class, on pooled or flattened features.

    Args:
        features: numbers that describe an image: channels, or channels * height * width of maps that are not pooled.
        n_way: classes.
        pool: average each map; otherwise flatten.
    """

    def __init__(self, features: int, n_way: int, *, pool: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_way, features))
        self.pool = pool
        self.n_way = n_way

    def described(self, maps: Tensor) -> Tensor:
        """Feature maps `[n, tasks * C, h, w]` as one row of numbers an image, `[*tasks, n, features]`."""
        x = (maps.mean((2, 3)) if self.pool else maps.flatten(1)).to(self.weight.dtype)
        return x if self.weight.ndim == 2 else by_tasks(x, len(self.weight)).transpose(0, 1)


class LinearHead(FeatureHead):
    """A linear classifier on these features; implements `Head`."""

    def __init__(self, features: int, n_way: int, *, pool: bool = True) -> None:
        super().__init__(features, n_way, pool=pool)
        self.bias = nn.Parameter(torch.empty(n_way))

    def forward(self, maps: Tensor, rows: int | None = None, *, headless: bool = False) -> Tensor:
        """See `Head`."""
        del rows
        x = self.described(maps)
        if headless:
            return x
        if self.weight.ndim == 2:
            return nn.functional.linear(x, self.weight, self.bias)
        return torch.baddbmm(self.bias[:, None], x, self.weight.transpose(1, 2))

    def of_means(self, means: Tensor) -> Params:
        """Squared Euclidean distance is linear: -|f - c|^2 = 2 c f - |c|^2 - |f|^2, the last the same for all classes.

        Snell et al. 2017 (arXiv 1703.05175), section 2.4, equation 8.
        """
        return {"weight": 2 * means, "bias": -means.square().sum(-1)}
