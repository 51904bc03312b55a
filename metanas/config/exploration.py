"""The configuration of an exploration: which cell is the best for a meta-learner?"""

from dataclasses import dataclass, field, replace
from typing import Literal

from metanas.config.data import Data, Task
from metanas.config.device import DeviceName
from metanas.config.experiment import Experiment
from metanas.config.judging import Adapt, Evaluate
from metanas.config.meta import Meta
from metanas.config.network import Space
from metanas.config.ranges import between, check_name
from metanas.config.tracking import EpochTrack, Track
from metanas.errors import ConfigError
from metanas.meta.adapt import Inner
from metanas.optim import Outer

GROWING = ("fewshot", "darts", "metanas")
"""Spaces whose cells can have any number of nodes."""


@dataclass(frozen=True)
class Explore:
    """Which cells are scored."""

    method: Literal["progressive", "random"] = "progressive"
    """`progressive`: small cells first, then the extensions that a surrogate ranks first (PNAS, Auto-Meta). `random`:
    as many cells of the largest size, drawn uniformly."""
    first: int = 49
    """Cells of one node to score; 49 are all in a space of seven operations."""
    beam: int = 8
    """Cells of every further size to score; PNAS takes 256."""
    ridge: float = 1.0
    """Weight of the squared coefficients of the surrogate."""

    def __post_init__(self) -> None:
        between("explore.first", self.first, 1, 10**6)
        between("explore.beam", self.beam, 1, 10**6)
        between("explore.ridge", self.ridge, 1e-9, 1e9)


@dataclass(frozen=True)
class Exploration:
    """All that defines an exploration; the run is a function of it. `space.nodes` is the size of the largest cells."""

    name: str = "exploration"
    """For people: the run directory and the tracker use it."""
    seed: int = 0
    device: DeviceName = "cpu"
    threads: int = 0
    """See `Experiment`."""
    data: Data = field(default_factory=Data)
    task: Task = field(default_factory=Task)
    space: Space = field(default_factory=Space)
    inner: Inner = field(default_factory=Inner)
    outer: Outer = field(default_factory=Outer)
    meta: Meta = field(default_factory=Meta)
    adapt: Adapt = field(default_factory=Adapt)
    evaluate: Evaluate = field(default_factory=Evaluate)
    explore: Explore = field(default_factory=Explore)
    track: EpochTrack = field(default_factory=EpochTrack)

    def __post_init__(self) -> None:
        between("threads", self.threads, 0, 1024)
        check_name(self.name)
        if self.space.kind not in GROWING or self.space.genotype:
            raise ConfigError(
                f"an exploration grows cells: expected space.kind of {', '.join(GROWING)} and space.genotype=[], got "
                f"{self.space.kind} and {self.space.genotype}"
            )
        if (self.adapt.strategy, self.adapt.deploy) != ("gradient", "child"):
            raise ConfigError(
                "the cells of an exploration have nothing to decide: expected adapt.strategy=gradient "
                f"adapt.deploy=child, got {self.adapt.strategy} and {self.adapt.deploy}"
            )
        if self.meta.gradient == "variational" or self.meta.patience:
            raise ConfigError(
                "the cells of an exploration have nothing to decide, and are validated once: expected another "
                "meta.gradient than variational and meta.patience=0, got "
                f"{self.meta.gradient} and {self.meta.patience}"
            )
        between("space.nodes", self.space.nodes, 1, 100)
        self.child(1, (0,))  # what cannot be meta-trained is refused here; its cells decide nothing

    def child(self, nodes: int, genotype: tuple[int, ...]) -> Experiment:
        """The meta-training of a fixed cell of `nodes` nodes, the same that an exploration scores it by."""
        return Experiment(
            name=f"{self.name}-cell",
            seed=self.seed,
            device=self.device,
            threads=self.threads,
            data=self.data,
            task=self.task,
            space=replace(self.space, nodes=nodes, genotype=list(genotype)),
            inner=self.inner,
            outer=self.outer,
            meta=self.meta,
            adapt=self.adapt,
            evaluate=self.evaluate,
            track=Track(wandb=self.track.wandb),
        )
