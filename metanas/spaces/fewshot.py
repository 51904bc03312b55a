"""The few-shot cell space of T-NAS (Lian et al. 2020, OpenReview r1eowANFvr): DARTS cells, one normal, one reduction.

The published size is `FewShot(width=16)` on 84x84 images: 201,181 supernet weights at 5 ways. The decoded child keeps
width and depth and inherits the supernet's weights; its norms stay without scale and shift, as in the supernet.
"""

from dataclasses import dataclass

from metanas.errors import ConfigError
from metanas.spaces.cell_space import KINDS, PRIMITIVES, CellSpace, check_sizes
from metanas.spaces.classifier import classifier
from metanas.spaces.head import HeadName
from metanas.spaces.network import CellNetwork, Plan, PooledStem
from tasks.episode import TaskSpec


@dataclass(frozen=True)
class FewShot(CellSpace):
    """T-NAS's space; implements `SearchSpace`."""

    width: int = 16
    """Channels of a node in the normal cell, even; the reduction cell has twice as many."""
    nodes: int = 4
    """Intermediate nodes of a cell, 1 to 8."""
    head: HeadName = "linear"
    """The classifier."""
    partial: int = 1
    """See `CellSpace`; 4 in PC-DARTS."""
    options: Plan | None = None
    """See `CellSpace`; a stage of P-DARTS leaves some out."""

    def __post_init__(self) -> None:
        check_sizes(self.width, self.nodes, self.partial)

    def network(self, plan: Plan, spec: TaskSpec) -> CellNetwork:
        """See `CellSpace`."""
        channels, height, width = spec.image
        if min(height, width) < 8:
            raise ConfigError(f"the pooled stem needs images of at least 8x8, got {height}x{width}")
        # the stem quarters the resolution, rounding down, and the reduction cell halves it, rounding up
        maps = ((height // 4 + 1) // 2, (width // 4 + 1) // 2)
        return CellNetwork(
            PooledStem(channels, 3 * self.width),
            3 * self.width,
            KINDS,
            plan=plan,
            primitives=PRIMITIVES,
            width=self.width,
            head=lambda channels: classifier(self.head, (channels, *maps), spec.n_way),
            partial=self.partial,
        )
