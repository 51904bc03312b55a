"""What is measured: the sizes of a problem, and the networks and tasks that they make."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from metanas.bench import textbook
from metanas.objective import Classification
from metanas.params import MetaParams, Params, tree_map
from metanas.relax.softmax import Softmax
from metanas.relax.straight_through import StraightThrough
from metanas.spaces.cell_choices import CellChoices
from metanas.spaces.cell_space import KINDS, PRIMITIVES
from metanas.spaces.conv import Conv, dense
from metanas.spaces.head import LinearHead
from metanas.spaces.initial import initial_weights
from metanas.spaces.network import CellNetwork, PooledStem
from metanas.spaces.norm import Norm
from tasks.episode import Batch, Episode, stack
from tasks.stream import stream

Gates = Literal["straight_through", "softmax"]


class PlainStem(nn.Module):
    """DARTS's stem for small images: a 3x3 convolution and a norm."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv1 = Conv(channels_in, channels_out, 3)
        self.norm1 = Norm(channels_out, affine=True)

    def forward(self, x: Tensor, rows: int | None = None) -> Tensor:
        """Features of the full resolution."""
        out: Tensor = self.norm1(dense(self.conv1(dense(x))), rows)
        return out


@dataclass(frozen=True)
class Setting:
    """Sizes; the defaults are the standard setting of few-shot search on a CPU."""

    gates: Gates = "straight_through"
    resolution: int = 32
    """Height and width of the coloured images, pixels."""
    channels: int = 8
    """Of a node in the first cell."""
    cells: int = 2
    nodes: int = 4
    n_way: int = 5
    k_shot: int = 1
    n_query: int = 15
    steps: int = 5
    """Inner steps."""
    tasks: int = 4
    """In a meta-batch."""
    stem: Literal["pooled", "plain"] = "pooled"
    device: str = "cpu"
    """On `meta` work is counted and nothing computed."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the cells, reductions at a third and two thirds as in DARTS; of two cells the second is one."""
        if self.cells == 2:
            return KINDS
        reductions = (self.cells // 3, 2 * self.cells // 3)
        return tuple(KINDS[i in reductions] for i in range(self.cells))

    @property
    def choices(self) -> CellChoices:
        """The choices of the cells."""
        return CellChoices(KINDS, self.nodes, PRIMITIVES)

    @property
    def temperature(self) -> float:
        """Of the gates."""
        return 1.0 if self.gates == "softmax" else 0.0

    @property
    def relaxation(self) -> Softmax | StraightThrough:
        """How logits become gates, ours and the textbook's."""
        return Softmax() if self.gates == "softmax" else StraightThrough(self.choices.harden)

    def objective(self) -> Classification:
        """Our supernet's loss."""
        wide = 3 * self.channels
        with torch.device("meta"):
            net = CellNetwork(
                PooledStem(3, wide) if self.stem == "pooled" else PlainStem(3, wide),
                wide,
                self.kinds,
                plan=self.choices.full_plan(),
                primitives=PRIMITIVES,
                width=self.channels,
                head=lambda channels: LinearHead(channels, self.n_way),
            )
        loss = Classification(net, self.relaxation, self.temperature)
        return loss.blind(torch.device("meta")) if self.device == "meta" else loss

    def textbook(self) -> textbook.TextbookNetwork:
        """The textbook's supernet."""
        wide = 3 * self.channels
        stem = (textbook.PooledStem if self.stem == "pooled" else textbook.PlainStem)(3, wide)
        edges = len(self.choices.full_plan()["normal"])
        tables = {kind: [list(PRIMITIVES)] * edges for kind in KINDS}
        return textbook.TextbookNetwork(stem, wide, self.kinds, tables, self.channels, self.n_way)

    def start(self, dtype: torch.dtype = torch.float32) -> MetaParams:
        """Random weights and logits; the head too, whose zeros would hide the rest from the first gradient."""
        weights = initial_weights(self.objective().net, stream(0, "weights"))
        weights["head.weight"] = torch.randn(weights["head.weight"].shape, generator=stream(0, "head")) / 4
        arch: Params = {k: torch.randn(a.shape, generator=stream(0, k)) / 4 for k, a in self.choices.logits().items()}
        return tree_map(lambda t: t.to(self.device, dtype), MetaParams(weights, arch))

    def episodes(self, tasks: int, dtype: torch.dtype = torch.float32) -> Episode:
        """`tasks` episodes of noise: how long a step takes does not depend on what is seen."""

        def batch(name: str, per_class: int) -> Batch:
            y = torch.arange(self.n_way).repeat_interleave(per_class)
            x = torch.rand(len(y), 3, self.resolution, self.resolution, generator=stream(0, name))
            return Batch(x.to(self.device, dtype), y.to(self.device))

        return stack(
            [Episode(batch(f"support {i}", self.k_shot), batch(f"query {i}", self.n_query)) for i in range(tasks)]
        )
