"""Conv-4, the backbone of Matching Networks, MAML and Prototypical Networks (Vinyals et al. 2016, arXiv 1606.04080).

Four `ConvBlock`s. Published sizes are 64 filters (Matching and Prototypical Networks) and 32 (MAML, arXiv 1703.03400,
on miniImageNet). Deviation: convolutions have no bias, which the norm behind each would remove.
"""

from torch import Tensor, nn

from metanas.errors import ConfigError
from metanas.params import Params
from metanas.spaces.classifier import classifier
from metanas.spaces.conv import dense, fold
from metanas.spaces.conv_block import ConvBlock
from metanas.spaces.head import HeadName
from tasks.episode import TaskSpec


class Conv4(nn.Module):
    """Four blocks and a head on their flattened features; a network without options.

    With a relation head the last two blocks do not pool, since that head goes on with their maps (Sung et al. 2018,
    arXiv 1711.06025, section 3.4).

    Args:
        spec: of the tasks; images of at least 16x16.
        width: filters of every block.
        head: the classifier.
    """

    def __init__(self, spec: TaskSpec, width: int, head: HeadName = "linear") -> None:
        super().__init__()
        channels, height, size = spec.image
        pooled = 2 if head == "relation" else 4
        if width < 1:
            raise ConfigError(f"space.width must be at least 1, got {width}")
        if min(height, size) < 16:
            raise ConfigError(f"Conv-4 needs images of at least 16x16, got {height}x{size}; raise data.resolution")
        self.blocks = nn.ModuleList(ConvBlock(width if i else channels, width, pool=i < pooled) for i in range(4))
        maps = (width, height >> pooled, size >> pooled)
        self.head = classifier(head, maps, spec.n_way, pool=False)

    def forward(
        self,
        x: Tensor,
        gates: Params | None = None,
        *,
        sparse: bool = False,
        rows: int | None = None,
        headless: bool = False,
    ) -> Tensor:
        """As `CellNetwork.forward`; there are no gates to look at."""
        del gates, sparse
        x = dense(fold(x))
        for block in self.blocks:
            x = block(x, rows)
        return self.head(x, rows, headless=headless)
