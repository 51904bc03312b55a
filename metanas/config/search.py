"""The configuration of a single-task search: schema, defaults and ranges."""

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from metanas.config.data import Data
from metanas.config.device import DeviceName
from metanas.config.network import Space
from metanas.config.ranges import between, check_name
from metanas.config.tracking import EpochTrack
from metanas.errors import ConfigError
from metanas.recorder import Engine
from tasks.catalogue import IMAGE_READERS

MethodName = Literal[
    "darts_first_order",
    "darts_second_order",
    "darts_finite_difference",
    "snas",
    "gdas",
    "drnas",
    "beta_darts",
    "pc_darts",
    "p_darts",
]

ALL_OPS = 8
"""Operations of a space that is searched in stages, `none` among them."""

PENALISED = ("drnas", "beta_darts")
"""Methods with a penalty on the logits."""


@dataclass(frozen=True)
class Images:
    """Which images are searched on, and how they reach the network."""

    classes: Literal["all", "train", "validation", "test"] = "all"
    """Which classes of the data set make up the task: all, or those of one few-shot split. A data set divided by image
    has all of them, and only its training images are seen."""
    per_class: int = 0
    """Images of each class, drawn with the seed; 0 takes all that there are."""
    batch: int = 64
    """Images in a batch, of each half."""
    crop: int = 4
    """Pixels of padding of the random crops; 0 crops nothing."""
    flip: bool = True
    """Mirror images at random; not for letters."""

    def __post_init__(self) -> None:
        between("images.per_class", self.per_class, 0, 10**9)
        between("images.batch", self.batch, 1, 10**6)
        between("images.crop", self.crop, 0, 256)


@dataclass(frozen=True)
class Search:
    """The method and its constants; the defaults are those of DARTS (arXiv 1806.09055, section 3.1.1)."""

    method: MethodName = "darts_first_order"
    epochs: int = 50
    """Passes over the training half; in each stage where there are several."""
    warmup: int = 0
    """First epochs in which the weights move alone, in each stage."""
    stage_cells: list[int] = field(default_factory=list)
    """Cells of the network in each stage, e.g. [5, 11, 17] in P-DARTS; [] is one stage of `space.cells`."""
    stage_ops: list[int] = field(default_factory=list)
    """Operations that an edge may carry in each stage, `none` among them; the first stage has all, e.g. [8, 5, 3]."""
    stage_drop: list[float] = field(default_factory=list)
    """Share of the features behind skip connections that is dropped where each stage begins, e.g. [0.0, 0.4, 0.7]."""
    most_skips: int | None = None
    """Skip connections that the normal cell may have at most, 2 in P-DARTS; null does not limit them."""
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
    engine: Engine = "auto"
    """On a GPU, whether steps are recorded once and replayed (graph) or not (plain); `auto` records. Second-order steps
    and those that drop features are never recorded. The numbers are the same but for rounding."""

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
        self._check_stages()
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

    @property
    def stages(self) -> int:
        """How many stages there are."""
        return max(1, len(self.stage_cells))

    def _check_stages(self) -> None:
        lengths = [len(self.stage_cells), len(self.stage_ops), len(self.stage_drop)]
        if len(set(lengths)) > 1:
            raise ConfigError(
                "search.stage_cells, search.stage_ops and search.stage_drop must have an entry for each stage, got "
                f"{', '.join(map(str, lengths))} entries"
            )
        if self.method == "p_darts" and not self.stage_cells:
            raise ConfigError(
                "search.method=p_darts needs stages, got []; in the paper search.stage_cells=[5,11,17] "
                "search.stage_ops=[8,5,3] search.stage_drop=[0.0,0.4,0.7]"
            )
        if self.stage_ops and (
            self.stage_ops[0] != ALL_OPS or min(self.stage_ops) < 3 or any(a < b for a, b in pairwise(self.stage_ops))
        ):
            raise ConfigError(
                f"search.stage_ops must begin with {ALL_OPS}, all operations, never grow, and end with 3 or more, got "
                f"{self.stage_ops}"
            )
        for cells in self.stage_cells:
            between("search.stage_cells", cells, 3, 64)
        if not all(0 <= drop < 1 for drop in self.stage_drop):
            raise ConfigError(f"search.stage_drop must hold numbers in [0, 1), got {self.stage_drop}")
        if self.most_skips is not None:
            between("search.most_skips", self.most_skips, 0, 16)


@dataclass(frozen=True)
class SearchExperiment:
    """All that defines a search; the run is a function of it."""

    name: str = "search"
    """For people: the run directory and the tracker use it."""
    seed: int = 0
    device: DeviceName = "cpu"
    threads: int = 1
    """CPU threads of an operation; 0 means one for each core. Another number rounds differently."""
    start: str | None = None
    """A meta-trained run whose weights and logits the search begins from; without it both are drawn from the seed."""
    data: Data = field(default_factory=Data)
    images: Images = field(default_factory=Images)
    space: Space = field(default_factory=Space)
    search: Search = field(default_factory=Search)
    track: EpochTrack = field(default_factory=EpochTrack)

    def __post_init__(self) -> None:
        between("threads", self.threads, 0, 1024)
        check_name(self.name)
        if self.space.genotype:
            raise ConfigError(f"a search chooses: space.genotype must be [], got {self.space.genotype}")
        if self.space.is_fixed:
            raise ConfigError(
                f"a search chooses: expected space.kind=darts or another one with choices, got {self.space.kind}"
            )
        if self.search.stage_cells and (self.space.kind, self.space.cells, self.space.partial) != ("darts", None, 1):
            raise ConfigError(
                "a search in stages needs space.kind=darts space.cells=null space.partial=1, got "
                f"{self.space.kind}, {self.space.cells} and {self.space.partial}; search.stage_cells counts the cells"
            )
        if self.search.most_skips is not None and self.space.kind not in ("fewshot", "darts"):
            raise ConfigError(
                f"search.most_skips must be null for space.kind={self.space.kind}, got {self.search.most_skips}; "
                "space.kind=darts and fewshot can limit them"
            )
        if self.search.method == "pc_darts" and self.space.partial == 1:
            raise ConfigError(
                "search.method=pc_darts needs space.partial of at least 2, 4 in the paper, got 1; "
                "search.method=darts_first_order searches all channels"
            )
        if self.data.mix or self.data.weights:
            raise ConfigError(
                f"a search has one task: data.mix and data.weights must be [], got {self.data.mix or self.data.weights}"
            )
        if self.data.source in IMAGE_READERS and (self.images.classes != "all" or self.data.rotations):
            raise ConfigError(
                f"data.source={self.data.source} is divided by image: images.classes must be all and data.rotations "
                f"false, got {self.images.classes} and {str(self.data.rotations).lower()}"
            )
