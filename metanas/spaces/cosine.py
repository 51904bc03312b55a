"""Classification by the angle to the classes instead of by a distance (Gidaris & Komodakis 2018, arXiv 1804.09458)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metanas.params import Params
from metanas.spaces.head import described

FIRST_SCALE = 10.0
"""Of cosines in a softmax before anything is learned (Chen et al. 2020, arXiv 2003.04390, section 3.2)."""


class CosineHead(nn.Module):
    """Cosines between an image's features and the direction of each class, times a learned scale; implements `Head`.

    Features are what `LinearHead` sees, each image's divided by their length, so that class means of them are means of
    directions (Chen et al. 2020, arXiv 2003.04390, equations 1 and 2).

    Args:
        features: numbers that describe an image: channels, or channels * height * width of maps that are not pooled.
        n_way: classes.
        pool: average each map; otherwise flatten.
    """

    def __init__(self, features: int, n_way: int, *, pool: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_way, features))
        self.scale = nn.Parameter(torch.empty(1))
        self.pool = pool
        self.n_way = n_way

    def forward(self, maps: Tensor, rows: int | None = None, *, headless: bool = False) -> Tensor:
        """See `Head`."""
        del rows
        x = F.normalize(described(maps, self.weight, pool=self.pool), dim=-1)
        return x if headless else FIRST_SCALE * self.scale[..., None] * (x @ self.weight.mT)

    def of_means(self, means: Tensor) -> Params:
        """Their directions; the scale stays the learned one."""
        return {"weight": F.normalize(means, dim=-1)}
