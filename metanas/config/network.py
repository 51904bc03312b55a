"""The networks that are searched or trained, and how logits become gates."""

from dataclasses import dataclass, field
from typing import Literal

from metanas.config.ranges import between
from metanas.errors import ConfigError

FIXED = ("conv4", "resnet8", "resnet8_maps", "resnet12", "resnet12_tadam")
"""The values of `space.kind` that are one network each."""


@dataclass(frozen=True)
class Space:
    """The search space, or a fixed network."""

    kind: Literal[
        "fewshot",
        "darts",
        "metanas",
        "nas_bench_201",
        "conv4",
        "resnet8",
        "resnet8_maps",
        "resnet12",
        "resnet12_tadam",
    ] = "fewshot"
    """`fewshot`, `darts`, `metanas`, `nas_bench_201` are searched; the others are networks with nothing to decide."""
    width: int = 16
    """Channels of a node in the first cell, 16 in T-NAS, DARTS and NAS-Bench-201, 28 in MetaNAS; filters of Conv-4,
    published with 32 and 64, or of the first block of ResNet-12, published with 64, or of ResNet-8, of which 16 make
    91 K weights; `resnet8_maps` classifies what its last maps show and where, for characters."""
    nodes: int = 2
    """Intermediate nodes of a cell; T-NAS and DARTS have 4, MetaNAS 3, `nas_bench_201` always 3. Fixed networks have
    none."""
    cells: int | None = None
    """Cells of the network of `darts`, 8 unless given, of `metanas`, 4 unless given, or of each stage of
    `nas_bench_201`, 5 unless given; `fewshot` always has two."""
    genotype: list[int] = field(default_factory=list)
    """One architecture of the space, as `adapt` writes it into genotype.json and `search` with `explore` into
    cell.yaml: its network is then fixed, and trained from new weights, which is the last stage of T-NAS. Empty leaves
    the choice to a search."""
    partial: int = 1
    """Operations see 1/partial of the channels, the others pass by, and edges have logits of their own (PC-DARTS, which
    has 4); divides `width`. 1 is the plain cell; only `fewshot` and `darts` have another."""
    connected: bool = True
    """Whether a cell whose edges may carry `none` keeps a way from its input to its output, so that no task can cut
    its own network: of all such cells the logits prefer the likeliest. False is the published rule of `nas_bench_201`,
    each edge for itself; the cells of the other spaces are connected."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of features while a network is trained or adapted; weights, logits, the statistics of norms and every score are
    float32. bfloat16 is for a GPU: half the memory traffic."""

    def __post_init__(self) -> None:
        if self.kind == "fewshot" and self.cells not in (None, 2):
            raise ConfigError(
                f"space.cells must be null or 2 for space.kind=fewshot, got {self.cells}; space.kind=darts stacks more"
            )
        if self.partial != 1 and self.kind not in ("fewshot", "darts"):
            raise ConfigError(
                f"space.partial must be 1 for space.kind={self.kind}, got {self.partial}; space.kind=darts and fewshot "
                "have partial channels"
            )
        if not self.connected and self.kind != "nas_bench_201":
            raise ConfigError(
                f"space.connected must be true for space.kind={self.kind}, whose cells are never cut; only "
                "space.kind=nas_bench_201 has cells that are"
            )
        if self.kind == "nas_bench_201" and self.nodes != 3:
            raise ConfigError(
                f"space.nodes must be 3 for space.kind=nas_bench_201, whose cells have three nodes after their input, "
                f"got {self.nodes}"
            )

    @property
    def is_fixed(self) -> bool:
        """Whether there is one network, and nothing to decide."""
        return bool(self.genotype) or self.kind in FIXED

    @property
    def named(self) -> str:
        """The key and value that say which network or networks there are."""
        return f"space.genotype={self.genotype}" if self.genotype else f"space.kind={self.kind}"


@dataclass(frozen=True)
class Relax:
    """How logits become gates, and how the temperature falls in meta-training."""

    kind: Literal["straight_through", "softmax", "gumbel_softmax", "soft_pruning"] = "straight_through"
    temperature_start: float = 0.0
    """At the first outer iteration."""
    temperature_end: float = 0.0
    """At the end of the ramp and in evaluation."""
    ramp: float = 0.5
    """Share of meta-training over which the temperature falls linearly, 0 to 1."""
    anneal: Literal["run", "task"] = "run"
    """Where it falls: once, over meta-training, or anew in every task, from the first inner step to the last (MetaNAS),
    in meta-training after the warm-up and in adaptation; `ramp` then does nothing."""
    threshold: float = 0.01
    """Gates of soft pruning that are at most this are left out, 0 to 1; other gates have none. A new task may have
    another, see `adapt.threshold`."""

    def __post_init__(self) -> None:
        least = 0.0 if self.kind == "straight_through" else 0.01
        for name in ("temperature_start", "temperature_end"):
            between(f"relax.{name}", getattr(self, name), least, 100.0)
        between("relax.ramp", self.ramp, 0.0, 1.0)
        between("relax.threshold", self.threshold, 0.0, 1.0)

    @property
    def temperature_first(self) -> float | None:
        """The temperature in the first step of an inner loop in which it falls."""
        return self.temperature_start if self.anneal == "task" else None

    def temperature(self, progress: float) -> float:
        """The temperature when `progress` (0 to 1) of meta-training is done."""
        share = min(1.0, progress / self.ramp) if self.ramp > 0 else 1.0
        return self.temperature_start + share * (self.temperature_end - self.temperature_start)
