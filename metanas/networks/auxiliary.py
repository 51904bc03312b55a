"""The auxiliary head: a classifier halfway up, which trains the lower cells and is never asked for an answer.

Szegedy et al. 2015, arXiv 1409.4842, section 5; in the shape of NASNet and DARTS.
"""

from torch import Tensor, nn

from metanas.errors import ConfigError
from metanas.networks.ops import conv

POOL = 5
"""Height and width of the window that is averaged."""


class AuxiliaryHead(nn.Module):
    """ReLU, 5x5 average pooling to 2x2, two convolutions of which the second leaves one pixel, and a classifier.

    Args:
        channels: of its input.
        n_classes: classes.
        stride: of the pooling: 3 on the 8x8 maps of CIFAR, 2 on the 7x7 maps of ImageNet.
        second_norm: whether a norm follows the second convolution. DARTS's ImageNet network has none there.
    """

    def __init__(self, channels: int, n_classes: int, *, stride: int, second_norm: bool) -> None:
        super().__init__()
        self.stride = stride
        self.features = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(POOL, stride, count_include_pad=False),
            conv(channels, 128, 1),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            *([nn.BatchNorm2d(768)] if second_norm else []),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(768, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits `[n, n_classes]`; raises `ConfigError` for maps that the pooling does not bring to 2x2."""
        least = POOL + self.stride
        if any((size - POOL) // self.stride != 1 for size in x.shape[2:]):
            raise ConfigError(
                f"the auxiliary head needs maps of height and width {least}..{least + self.stride - 1}, got "
                f"{x.shape[2]}x{x.shape[3]}; build the network with auxiliary=False for images of this size"
            )
        logits: Tensor = self.classifier(self.features(x))
        return logits
