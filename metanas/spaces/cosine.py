"""Classification by the angle to the classes instead of by a distance (Gidaris & Komodakis 2018, arXiv 1804.09458)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metanas.params import Params
from metanas.spaces.head import FeatureHead

FIRST_SCALE = 10.0
"""Of cosines in a softmax before anything is learned (Chen et al. 2020, arXiv 2003.04390, section 3.2)."""


class CosineHead(FeatureHead):
    """Cosines between an image's features and the direction of each class, times a learned scale; implements `Head`.

    Each image's features are divided by their length, so that class means of them are means of directions (Chen et al.
    2020, arXiv 2003.04390, equations 1 and 2).
    """

    def __init__(self, features: int, n_way: int, *, pool: bool = True) -> None:
        super().__init__(features, n_way, pool=pool)
        self.scale = nn.Parameter(torch.empty(1))

    def forward(self, maps: Tensor, rows: int | None = None, *, headless: bool = False) -> Tensor:
        """See `Head`."""
        del rows
        x = F.normalize(self.described(maps), dim=-1)
        return x if headless else FIRST_SCALE * self.scale[..., None] * (x @ self.weight.mT)

    def of_means(self, means: Tensor) -> Params:
        """Their directions; the scale stays the learned one."""
        return {"weight": F.normalize(means, dim=-1)}
