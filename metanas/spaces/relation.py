"""Relation Networks: a learned comparison instead of a distance (Sung et al. 2018, arXiv 1711.06025, section 3)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metanas.errors import ConfigError
from metanas.params import Params
from metanas.spaces.conv import Conv, by_tasks
from metanas.spaces.conv_block import ConvBlock

_HIDDEN = 8  # section 3.4


class RelationHead(nn.Module):
    """Scores every pair of an image and a class by two convolution blocks and two linear layers; implements `Head`.

    The feature maps of a class stand beside those of the image, equation 1. The maps of the classes are weights of the
    head, `classes`, which `of_means` fills from a support set. Logits are the relation scores before their sigmoid.

    Deviations: the maps of a class are the mean over its images, where the paper sums, so that classes may have
    different numbers of images; the blocks pad their maps, so smaller images fit, and have as many filters as there are
    maps.

    Args:
        maps: channels, height and width of the feature maps, at least 4x4.
        n_way: classes.
    """

    def __init__(self, maps: tuple[int, int, int], n_way: int) -> None:
        super().__init__()
        channels, height, width = self.maps = maps
        self.n_way = n_way
        if min(height, width) < 4:
            raise ConfigError(
                f"the relation module needs feature maps of at least 4x4, got {height}x{width}; "
                "raise data.resolution, or use another space.kind"
            )
        self.classes = nn.Parameter(torch.empty(n_way, channels * height * width))
        self.block1 = ConvBlock(2 * channels, channels)
        self.block2 = ConvBlock(channels, channels)
        self.hidden = _Dense(channels * (height // 4) * (width // 4), _HIDDEN)
        self.score = _Dense(_HIDDEN, 1)

    def forward(self, maps: Tensor, rows: int | None = None, *, headless: bool = False) -> Tensor:
        """See `Head`."""
        is_folded = self.classes.ndim == 3
        tasks = len(self.classes) if is_folded else 1
        images = by_tasks(maps, tasks)  # [n, tasks, C, h, w]
        if headless:
            features = images.flatten(2).transpose(0, 1)
            return features if is_folded else features[0]
        classes = self.classes.view(tasks, -1, *self.maps).transpose(0, 1)  # [n_way, tasks, C, h, w]
        n, n_way = len(images), len(classes)
        # Image after image, so the pairs of the first `rows` images stand in the first rows * n_way.
        pair = torch.cat([classes.expand(n, *classes.shape), images[:, None].expand(-1, n_way, -1, -1, -1, -1)], dim=3)
        first = None if rows is None else rows * n_way
        x = self.block2(self.block1(pair.flatten(0, 1).flatten(1, 2), first), first)
        x = F.relu(self.hidden(by_tasks(x, tasks).flatten(2).flatten(1)[..., None, None]))
        logits: Tensor = self.score(x).view(n, n_way, tasks).permute(2, 0, 1)
        return logits if is_folded else logits[0]

    def of_means(self, means: Tensor) -> Params:
        """See `Head`."""
        return {"classes": means}


class _Dense(nn.Module):
    """A linear layer as a 1x1 convolution, which folds tasks and is initialised like one."""

    def __init__(self, features_in: int, features_out: int) -> None:
        super().__init__()
        self.conv = Conv(features_in, features_out, 1)
        self.bias = nn.Parameter(torch.empty(features_out))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x) + self.bias.flatten()[:, None, None]
        return out
