"""The configuration of an experiment: schema, defaults and ranges; `config_file` reads and writes it.

A value out of its range is a `ConfigError` that names the key.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from metanas.errors import ConfigError
from metanas.meta.adapt import Inner
from metanas.meta.batch import Execute
from metanas.optim import Adam
from tasks.catalogue import CARDS, SourceName


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
    rotations: bool = False
    """Every class turned by 90, 180 and 270 degrees counts as a class of its own."""

    def __post_init__(self) -> None:
        _between("data.resolution", self.resolution, 8, 512)
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

    def __post_init__(self) -> None:
        _between("task.n_way", self.n_way, 2, 1000)
        _between("task.k_shot", self.k_shot, 1, 1000)
        _between("task.n_query", self.n_query, 1, 1000)


@dataclass(frozen=True)
class Space:
    """The search space."""

    kind: Literal["fewshot"] = "fewshot"
    width: int = 16
    """Channels of a node in the normal cell, as in T-NAS."""
    nodes: int = 2
    """Intermediate nodes of a cell; T-NAS has 4."""


@dataclass(frozen=True)
class Relax:
    """How logits become gates, and how the temperature falls in meta-training."""

    kind: Literal["straight_through", "softmax", "gumbel_softmax"] = "straight_through"
    temperature_start: float = 0.0
    """At the first outer iteration."""
    temperature_end: float = 0.0
    """At the end of the ramp and in evaluation."""
    ramp: float = 0.5
    """Share of meta-training over which the temperature falls linearly, 0 to 1."""

    def __post_init__(self) -> None:
        least = 0.0 if self.kind == "straight_through" else 0.01
        for name in ("temperature_start", "temperature_end"):
            _between(f"relax.{name}", getattr(self, name), least, 100.0)
        _between("relax.ramp", self.ramp, 0.0, 1.0)

    def temperature(self, progress: float) -> float:
        """The temperature when `progress` (0 to 1) of meta-training is done."""
        share = min(1.0, progress / self.ramp) if self.ramp > 0 else 1.0
        return self.temperature_start + share * (self.temperature_end - self.temperature_start)


@dataclass(frozen=True)
class Meta:
    """The outer loop."""

    gradient: Literal["maml", "reptile"] = "maml"
    """How tasks move the start: through the query loss after adaptation, or towards where adaptation ends."""
    iterations: int = 400
    """Outer steps."""
    tasks: int = 16
    """Episodes in a meta-batch."""
    chunk: int = 8
    """Tasks executed in one call, in one process; 0 means all of them. Fewer need less memory and busy more cores: at
    most `tasks / chunk` processes share a meta-batch."""
    execute: Execute = "auto"
    """How the tasks of a chunk run: `fold` in one call, `loop` one after another, which needs the least memory; `auto`
    folds. Changes results by rounding only; a call that finds too little memory is made for half the tasks."""
    arch_std: float = 0.1
    """Standard deviation of the first logits. DARTS starts at 0.001; straight-through gates need enough for the tasks
    of a meta-batch to agree on most operations, or no operation is trained for long."""
    cosine: float = 0.05
    """The outer step sizes fall along a cosine to this share of their values; 1 keeps them."""
    validate_every: int = 200
    """Outer steps between two validations on validation classes; 0 never validates."""
    validate_episodes: int = 64
    """Episodes of a validation."""
    save_every: int = 50
    """Outer steps between two checkpoints."""

    def __post_init__(self) -> None:
        _between("meta.iterations", self.iterations, 1, 10**9)
        _between("meta.tasks", self.tasks, 1, 10**6)
        _between("meta.chunk", self.chunk, 0, 10**6)
        _between("meta.arch_std", self.arch_std, 0.0, 100.0)
        _between("meta.cosine", self.cosine, 0.0, 1.0)
        _between("meta.validate_every", self.validate_every, 0, 10**9)
        _between("meta.validate_episodes", self.validate_episodes, 2, 10**6)
        _between("meta.save_every", self.save_every, 1, 10**9)


@dataclass(frozen=True)
class Adapt:
    """How a new task is adapted to after meta-training."""

    steps: int = 5
    """Support steps on the supernet, weights and logits together; then the cell is decoded."""
    child_steps: int = 5
    """Further support steps on the weights of the decoded child; they count in the reported seconds."""
    lr_weights: float | None = None
    """Step size of the weights; without it that of `inner`."""
    lr_arch: float | None = None
    """Step size of the logits; without it that of `inner`. 0 gives every task the same cell."""
    deploy: Literal["child", "supernet"] = "child"
    """The network that is handed out and whose accuracy is the headline."""

    def __post_init__(self) -> None:
        _between("adapt.steps", self.steps, 0, 10**6)
        _between("adapt.child_steps", self.child_steps, 0, 10**6)
        for name in ("lr_weights", "lr_arch"):
            if getattr(self, name) is not None:
                _between(f"adapt.{name}", getattr(self, name), 0.0, 1e6)


@dataclass(frozen=True)
class Evaluate:
    """How a run is judged."""

    episodes: int = 600
    """Episodes of test classes."""
    n_query: int = 15
    """Query images a class."""
    chunk: int = 8
    """Episodes scored in one call, in one process."""
    timed: int = 10
    """Episodes that are also adapted one at a time, for the seconds a task."""
    checkpoint: Literal["best", "last"] = "best"
    """`best` is chosen on validation classes."""

    def __post_init__(self) -> None:
        _between("evaluate.episodes", self.episodes, 2, 10**9)  # one has no interval
        _between("evaluate.n_query", self.n_query, 1, 1000)
        _between("evaluate.chunk", self.chunk, 1, 10**6)
        _between("evaluate.timed", self.timed, 1, 10**6)


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
        _between("track.every", self.every, 1, 10**9)


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
        _between("threads", self.threads, 0, 1024)
        if not self.name or set(self.name) & set("/\\\0") or self.name in (".", ".."):
            raise ConfigError(f"name must be usable as a directory name, got {self.name!r}")


def _between(key: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise ConfigError(f"{key} must be in {least}..{most}, got {value}")
