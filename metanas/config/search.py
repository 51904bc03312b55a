"""The configuration of a single-task search: schema, defaults and ranges."""

import math
from dataclasses import dataclass, field
from typing import Literal

from metanas.config.data import Data
from metanas.config.network import Space
from metanas.config.ranges import between, check_name
from metanas.config.tracking import Wandb
from metanas.errors import ConfigError

MethodName = Literal[
    "darts_first_order",
    "darts_second_order",
    "darts_finite_difference",
    "snas",
    "gdas",
    "drnas",
    "beta_darts",
]

PENALISED = ("drnas", "beta_darts")
"""Methods with a penalty on the logits."""


@dataclass(frozen=True)
class Images:
    """Which images are searched on, and how they reach the network."""

    classes: Literal["all", "train", "validation", "test"] = "all"
    """Which classes of the data set make up the task: all, or those of one few-shot split."""
    batch: int = 64
    """Images in a batch, of each half."""
    crop: int = 4
    """Pixels of padding of the random crops; 0 crops nothing."""
    flip: bool = True
    """Mirror images at random; not for letters."""

    def __post_init__(self) -> None:
        between("images.batch", self.batch, 1, 10**6)
        between("images.crop", self.crop, 0, 256)


@dataclass(frozen=True)
class Search:
    """The method and its constants; the defaults are those of DARTS (arXiv 1806.09055, section 3.1.1)."""

    method: MethodName = "darts_first_order"
    epochs: int = 50
    """Passes over the training half."""
    warmup: int = 0
    """First epochs in which the weights move alone."""
    lr_weights: float = 0.025
    """Step size of the weights in the first epoch; it falls along a cosine."""
    lr_weights_end: float = 0.001
    """The value that the cosine leads to."""
    momentum: float = 0.9
    decay_weights: float = 3e-4
    clip: float = 5.0
    """Largest norm of the weights' gradient; 0 never clips."""
    lr_arch: float = 3e-4
    """Step size of the logits' Adam."""
    beta1_arch: float = 0.5
    beta2_arch: float = 0.999
    decay_arch: float = 1e-3
    arch_std: float = 1e-3
    """Standard deviation of the first logits."""
    temperature_start: float = 1.0
    """In the first epoch; what it means the method's relaxation says."""
    temperature_end: float = 1.0
    """What it leads to."""
    temperature_fall: Literal["linear", "geometric"] = "linear"
    penalty_start: float = 0.0
    """Weight of the method's penalty on the logits in the first epoch; 0 for a method that has none."""
    penalty_end: float = 0.0
    """What it leads to, along a straight line."""
    hessian_every: int = 0
    """Epochs between two estimates of the dominant Hessian eigenvalue; 0 never estimates."""
    save_every: int = 1
    """Epochs between two checkpoints."""

    def __post_init__(self) -> None:
        between("search.epochs", self.epochs, 1, 10**6)
        between("search.warmup", self.warmup, 0, self.epochs - 1)
        for name in (
            "lr_weights",
            "lr_weights_end",
            "lr_arch",
            "clip",
            "decay_weights",
            "decay_arch",
            "penalty_start",
            "penalty_end",
        ):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"search.{name} must be 0 or more, got {getattr(self, name)}")
        for name in ("momentum", "beta1_arch", "beta2_arch"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"search.{name} must be in [0, 1), got {getattr(self, name)}")
        between("search.arch_std", self.arch_std, 0.0, 100.0)
        between("search.temperature_start", self.temperature_start, 0.01, 100.0)
        between("search.temperature_end", self.temperature_end, 0.01, 100.0)
        between("search.hessian_every", self.hessian_every, 0, 10**6)
        between("search.save_every", self.save_every, 1, 10**6)
        if self.method not in PENALISED and max(self.penalty_start, self.penalty_end) > 0:
            raise ConfigError(
                f"search.penalty_start and search.penalty_end must be 0 for search.method={self.method}, which has no "
                f"penalty, got {self.penalty_start} and {self.penalty_end}; {' and '.join(PENALISED)} have one"
            )


@dataclass(frozen=True)
class SearchTrack:
    """What is written while searching: a row an epoch."""

    wandb: Wandb = field(default_factory=Wandb)


@dataclass(frozen=True)
class SearchExperiment:
    """All that defines a search; the run is a function of it."""

    name: str = "search"
    """For people: the run directory and the tracker use it."""
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    threads: int = 1
    """CPU threads of an operation; 0 means one for each core. Another number rounds differently."""
    start: str | None = None
    """A meta-trained run whose weights and logits the search begins from; without it both are drawn from the seed."""
    data: Data = field(default_factory=Data)
    images: Images = field(default_factory=Images)
    space: Space = field(default_factory=Space)
    search: Search = field(default_factory=Search)
    track: SearchTrack = field(default_factory=SearchTrack)

    def __post_init__(self) -> None:
        between("threads", self.threads, 0, 1024)
        check_name(self.name)
        if self.space.genotype:
            raise ConfigError(f"a search has something to decide: space.genotype must be [], got {self.space.genotype}")
        if self.data.mix or self.data.weights:
            raise ConfigError(
                f"a search has one task: data.mix and data.weights must be [], got {self.data.mix or self.data.weights}"
            )
