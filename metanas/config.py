"""The configuration of an experiment: schema, defaults and ranges; `config_file` reads and writes it.

A value out of its range is a `ConfigError` that names the key.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from metanas.errors import ConfigError
from metanas.meta.adapt import Inner
from metanas.optim import Adam
from tasks.catalogue import CARDS, SourceName

METRIC = ("prototypes", "relation")
"""The values of `meta.gradient` that are metric learners."""


@dataclass(frozen=True)
class Data:
    """Where images come from."""

    source: SourceName = "glyphs"
    """`glyphs` is built in; the others are read from `root`."""
    mix: list[str] = field(default_factory=list)
    """Further sources whose training classes take part in meta-training, e.g. [omniglot]."""
    mixing: Literal["uniform", "proportional"] = "uniform"
    """How often `source` and those of `mix` are drawn: equally, or in proportion to their training classes."""
    weights: list[float] = field(default_factory=list)
    """How often `source` and each of `mix` are drawn, in this order; empty leaves it to `mixing`."""
    root: str | None = None
    """Data directory; without it the environment variable METANAS_DATA."""
    resolution: int = 28
    """Height and width in pixels, 8 to 512."""
    channels: int = 1
    """1 for grey, 3 for colours; grey images are shown as coloured ones where colours are asked for."""
    skip_corrupt: bool = False
    """Leave out image files that cannot be read, and say how many; otherwise the first of them is an error."""
    rotations: bool = False
    """Every class turned by 90, 180 and 270 degrees counts as a class of its own."""

    @property
    def sources(self) -> tuple[str, ...]:
        """All data sets of meta-training, `source` first."""
        return (self.source, *self.mix)

    def of(self, name: str) -> "Data":
        """The same settings for the data set `name` alone."""
        return replace(self, source=cast(SourceName, name), mix=[], weights=[])

    def __post_init__(self) -> None:
        between("data.resolution", self.resolution, 8, 512)
        for name in self.mix:
            if name not in CARDS or name == self.source:
                others = [known for known in CARDS if known != self.source]
                raise ConfigError(f"data.mix names further sources, some of {', '.join(others)}, got {name!r}")
        for key, name in [("data.source", self.source), *(("data.mix", name) for name in self.mix)]:
            allowed = sorted({*CARDS[name].channels, 3})
            if self.channels not in allowed:
                expected = " or ".join(map(str, allowed))
                raise ConfigError(f"data.channels must be {expected} for {key}={name}, got {self.channels}")
        fitting = len(self.weights) == 1 + len(self.mix) and all(0 < weight < math.inf for weight in self.weights)
        if self.weights and not fitting:
            raise ConfigError(
                f"data.weights must hold a number above 0 for data.source and each of data.mix, {1 + len(self.mix)} in "
                f"all, got {self.weights}; [] draws as data.mixing says"
            )


@dataclass(frozen=True)
class Task:
    """The shape of an episode."""

    n_way: int = 5
    """Classes in an episode."""
    k_shot: int = 1
    """Support images a class."""
    n_query: int = 3
    """Query images a class in meta-training; evaluation has its own number."""
    varied: bool = False
    """Draw ways and shots for each episode, as Meta-Dataset does; the numbers above are then the most of each."""
    least_way: int = 5
    """Fewest classes of a varied episode."""
    most_support: int = 500
    """Most support images of a varied episode, all classes together."""

    def __post_init__(self) -> None:
        between("task.n_way", self.n_way, 2, 1000)
        if self.varied:
            between("task.least_way", self.least_way, 2, self.n_way)
            between("task.most_support", self.most_support, self.n_way, 10**6)
        between("task.k_shot", self.k_shot, 1, 1000)
        between("task.n_query", self.n_query, 1, 1000)


@dataclass(frozen=True)
class Space:
    """The search space, or a fixed network."""

    kind: Literal["fewshot", "darts", "nas_bench_201", "conv4", "resnet12", "resnet12_tadam"] = "fewshot"
    """`fewshot`, `darts` and `nas_bench_201` are searched; the others are networks with nothing to decide."""
    width: int = 16
    """Channels of a node in the first cell, 16 in T-NAS, DARTS and NAS-Bench-201; filters of Conv-4, published with 32
    and 64, or of the first block of ResNet-12, published with 64."""
    nodes: int = 2
    """Intermediate nodes of a cell; T-NAS and DARTS have 4, `nas_bench_201` always 3. Fixed networks have none."""
    cells: int | None = None
    """Cells of the network of `darts`, 8 unless given, or of each stage of `nas_bench_201`, 5 unless given; `fewshot`
    always has two."""

    def __post_init__(self) -> None:
        if self.kind == "fewshot" and self.cells not in (None, 2):
            raise ConfigError(
                f"space.cells must be null or 2 for space.kind=fewshot, got {self.cells}; space.kind=darts stacks more"
            )
        if self.kind == "nas_bench_201" and self.nodes != 3:
            raise ConfigError(
                f"space.nodes must be 3 for space.kind=nas_bench_201, whose cells have three nodes after their input, "
                f"got {self.nodes}"
            )


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
    threshold: float = 0.01
    """Gates of soft pruning that are at most this are left out, 0 to 1; other gates have none."""

    def __post_init__(self) -> None:
        least = 0.0 if self.kind == "straight_through" else 0.01
        for name in ("temperature_start", "temperature_end"):
            between(f"relax.{name}", getattr(self, name), least, 100.0)
        between("relax.ramp", self.ramp, 0.0, 1.0)
        between("relax.threshold", self.threshold, 0.0, 1.0)

    def temperature(self, progress: float) -> float:
        """The temperature when `progress` (0 to 1) of meta-training is done."""
        share = min(1.0, progress / self.ramp) if self.ramp > 0 else 1.0
        return self.temperature_start + share * (self.temperature_end - self.temperature_start)


@dataclass(frozen=True)
class Meta:
    """The outer loop."""

    gradient: Literal["maml", "reptile", "imaml", "joint", "prototypes", "relation"] = "maml"
    """How tasks move the start: through the query loss after adaptation (maml; imaml through the solution of a proximal
    problem), towards where adaptation ends (reptile), or by their loss at the start itself (joint, the baseline).
    `prototypes` and `relation` are metric learners, whose classifier is the support set: they ignore `inner`, and need
    adapt.steps=0, adapt.child_steps=0 and adapt.classifier=means."""
    cg_steps: int = 5
    """Hessian-vector products of an implicit gradient; other gradients take none."""
    iterations: int = 400
    """Outer steps."""
    tasks: int = 16
    """Episodes in a meta-batch."""
    chunk: int = 8
    """Tasks executed in one call, in one process; 0 means all of them. Fewer need less memory and busy more cores: at
    most `tasks / chunk` processes share a meta-batch."""
    arch_std: float = 0.1
    """Standard deviation of the first logits. DARTS starts at 0.001; straight-through gates need enough for the tasks
    of a meta-batch to agree on most operations, or no operation is trained for long."""
    warmup: float = 0.0
    """Share of the iterations, 0 to 1, in which the weights are learned alone: no loop moves the logits, and the
    temperature stays at its first value (Elsken et al. 2020, arXiv 1911.11090, take half)."""
    cosine: float = 0.05
    """The outer step sizes fall along a cosine to this share of their values; 1 keeps them."""
    validate_every: int = 200
    """Outer steps between two validations on validation classes; 0 never validates."""
    validate_episodes: int = 64
    """Episodes of a validation."""
    patience: int = 0
    """Meta-training ends after that many validations in a row without a new best one; 0 runs all iterations."""
    save_every: int = 50
    """Outer steps between two checkpoints."""

    def __post_init__(self) -> None:
        between("meta.iterations", self.iterations, 1, 10**9)
        between("meta.tasks", self.tasks, 1, 10**6)
        between("meta.chunk", self.chunk, 0, 10**6)
        between("meta.arch_std", self.arch_std, 0.0, 100.0)
        between("meta.cg_steps", self.cg_steps, 0, 10**6)
        between("meta.warmup", self.warmup, 0.0, 1.0)
        between("meta.cosine", self.cosine, 0.0, 1.0)
        between("meta.patience", self.patience, 0, 10**9)
        if self.patience and not self.validate_every:
            raise ConfigError(
                f"meta.patience={self.patience} counts validations, but meta.validate_every=0 has none; "
                "set meta.validate_every above 0"
            )
        between("meta.validate_every", self.validate_every, 0, 10**9)
        between("meta.validate_episodes", self.validate_episodes, 2, 10**6)
        between("meta.save_every", self.save_every, 1, 10**9)

    def is_warming(self, iteration: int) -> bool:
        """Whether the logits rest at that outer iteration."""
        return iteration < self.warmup * self.iterations

    def search_progress(self, iteration: int) -> float:
        """The share, 0 to 1, of the iterations after the warm-up that are done before `iteration`."""
        first = math.ceil(self.warmup * self.iterations)
        return max(0, iteration - first) / max(1, self.iterations - first)


@dataclass(frozen=True)
class Adapt:
    """How a new task is adapted to after meta-training."""

    strategy: Literal["gradient", "prior", "random", "uniform"] = "gradient"
    """How the cell of a task is found. `gradient`: support steps, then decoding (T-NAS). `prior`: the cell of the
    meta-learned logits, one for all tasks (Auto-MAML). `random`: a uniform draw for each task. `uniform`: no cell, all
    operations with equal weights; needs `deploy` supernet."""
    steps: int = 5
    """Support steps on the supernet, weights and logits together; then the cell is decoded. `prior` and `random` spend
    them on the child."""
    child_steps: int = 5
    """Further support steps on the weights of the decoded child; they count in the reported seconds."""
    lr_weights: float | None = None
    """Step size of the weights; without it that of `inner`."""
    lr_arch: float | None = None
    """Step size of the logits; without it that of `inner`. 0 gives every task the same cell."""
    deploy: Literal["child", "supernet"] = "child"
    """The network that is handed out and whose accuracy is the headline."""
    classifier: Literal["trained", "means"] = "trained"
    """The classifier of that network: as trained with it, or the class means of the support set's features."""

    def __post_init__(self) -> None:
        wanted = {"uniform": "supernet", "prior": "child", "random": "child"}.get(self.strategy, self.deploy)
        if self.deploy != wanted:
            raise ConfigError(
                f"adapt.strategy={self.strategy} leaves no {self.deploy} to hand out; expected adapt.deploy={wanted}, "
                f"got {self.deploy}"
            )
        between("adapt.steps", self.steps, 0, 10**6)
        between("adapt.child_steps", self.child_steps, 0, 10**6)
        for name in ("lr_weights", "lr_arch"):
            if getattr(self, name) is not None:
                between(f"adapt.{name}", getattr(self, name), 0.0, 1e6)


@dataclass(frozen=True)
class Evaluate:
    """How a run is judged."""

    episodes: int = 600
    """Episodes of test classes."""
    n_query: int = 15
    """Query images a class."""
    sources: list[str] = field(default_factory=list)
    """Data sets whose classes are shown, each in `episodes` episodes, e.g. [omniglot, glyphs]; without any those of
    meta-training. The headline is the mean over them."""
    chunk: int = 8
    """Episodes scored in one call, in one process."""
    timed: int = 10
    """Episodes that are also adapted one at a time, for the seconds a task."""
    checkpoint: Literal["best", "last"] = "best"
    """`best` is chosen on validation classes."""

    def __post_init__(self) -> None:
        between("evaluate.episodes", self.episodes, 2, 10**9)  # one has no interval
        between("evaluate.n_query", self.n_query, 1, 1000)
        for name in self.sources:
            if name not in CARDS or self.sources.count(name) > 1:
                raise ConfigError(f"evaluate.sources names data sets, each once, of {', '.join(CARDS)}, got {name!r}")
        between("evaluate.chunk", self.chunk, 1, 10**6)
        between("evaluate.timed", self.timed, 1, 10**6)


@dataclass(frozen=True)
class Wandb:
    """Weights & Biases."""

    mode: Literal["offline", "online", "disabled"] = "offline"
    project: str = "metanas"


@dataclass(frozen=True)
class Track:
    """What is written while running."""

    every: int = 10
    """Outer steps between two rows of metrics.jsonl, and lines where there is no terminal."""
    wandb: Wandb = field(default_factory=Wandb)

    def __post_init__(self) -> None:
        between("track.every", self.every, 1, 10**9)


@dataclass(frozen=True)
class Experiment:
    """All that defines a run; the run is a function of it."""

    name: str = "experiment"
    """For people: the run directory and the tracker use it."""
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    threads: int = 0
    """CPU processes of one thread, each working on its own tasks; 0 means one for each core. Changes no result."""
    data: Data = field(default_factory=Data)
    task: Task = field(default_factory=Task)
    space: Space = field(default_factory=Space)
    relax: Relax = field(default_factory=Relax)
    inner: Inner = field(default_factory=Inner)
    outer: Adam = field(default_factory=Adam)
    meta: Meta = field(default_factory=Meta)
    adapt: Adapt = field(default_factory=Adapt)
    evaluate: Evaluate = field(default_factory=Evaluate)
    track: Track = field(default_factory=Track)

    def __post_init__(self) -> None:
        between("threads", self.threads, 0, 1024)
        if not self.name or set(self.name) & set("/\\\0") or self.name in (".", ".."):
            raise ConfigError(f"name must be usable as a directory name, got {self.name!r}")
        adapt = self.adapt
        is_stepless = adapt.steps == adapt.child_steps == 0
        if self.meta.gradient in METRIC and not (is_stepless and adapt.classifier == "means"):
            raise ConfigError(
                f"meta.gradient={self.meta.gradient} takes no support steps: expected adapt.steps=0 "
                f"adapt.child_steps=0 adapt.classifier=means, got {adapt.steps}, {adapt.child_steps} and "
                f"{adapt.classifier}; set these three too"
            )

        if self.inner.rates != "fixed" and self.meta.gradient != "maml":
            raise ConfigError(
                f"inner.rates={self.inner.rates} is learned through the inner loop, which meta.gradient=maml "
                f"differentiates, got meta.gradient={self.meta.gradient}; take inner.rates=fixed"
            )

    def temperature(self, iteration: int) -> float:
        """The temperature of the gates at that outer iteration; it begins to fall after the warm-up."""
        return self.relax.temperature(self.meta.search_progress(iteration))


def check_name(name: str) -> None:
    """Raises `ConfigError` when a run of that name could not have a directory."""
    if not name or set(name) & set("/\\\0") or name in (".", ".."):
        raise ConfigError(f"name must be usable as a directory name, got {name!r}")


def between(key: str, value: float, least: float, most: float) -> None:
    """Raises `ConfigError` when the value of `key` is not in least..most, NaN included."""
    if not least <= value <= most:
        raise ConfigError(f"{key} must be in {least}..{most}, got {value}")
