"""Where images come from, and which episodes they make."""

import math
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from metanas.config.ranges import between
from metanas.errors import ConfigError
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
    split: Literal["published", "random"] = "published"
    """How the classes of published data sets are divided into training, validation and test: as published, or dealt out
    at random once for all, each list as long as published, which is how MAML and T-NAS divide Omniglot."""
    resolution: int = 28
    """Height and width in pixels, 8 to 512."""
    channels: int = 1
    """1 for grey, 3 for colours; grey images are shown as coloured ones where colours are asked for."""
    skip_corrupt: bool = False
    """Leave out image files that cannot be read, and say how many; otherwise the first of them is an error."""
    drop_duplicates: bool = False
    """Leave out images that are there more than once, and say how many. Otherwise published data sets stay as they are,
    and copies in a folder of your own are an error."""
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
            if name not in CARDS or name == self.source or self.mix.count(name) > 1:
                others = [known for known in CARDS if known != self.source]
                raise ConfigError(
                    f"data.mix names further sources, each once, some of {', '.join(others)}, got {name!r}"
                )
        for key, name in [("data.source", self.source), *(("data.mix", name) for name in self.mix)]:
            if self.split == "random" and CARDS[name].split is None:
                raise ConfigError(
                    f"data.split=random divides published lists of classes anew, and {key}={name} has none; expected "
                    "data.split=published"
                )
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
    labels: Literal["drawn", "classes"] = "drawn"
    """What a label is in meta-training: `drawn` anew for every episode, or a class, the same in all of them, which
    shows all `n_way` classes of the training split (joint training of a classifier, for meta.gradient=joint)."""
    varied: bool = False
    """Draw ways and shots for each episode, as Meta-Dataset does; the numbers above are then the most of each."""
    least_way: int = 5
    """Fewest classes of a varied episode."""
    most_support: int = 500
    """Most support images of a varied episode, all classes together."""

    def __post_init__(self) -> None:
        between("task.n_way", self.n_way, 2, 100_000)
        if self.varied:
            if self.labels == "classes":
                raise ConfigError("task.labels=classes shows all classes in every episode, got task.varied=true")
            between("task.least_way", self.least_way, 2, self.n_way)
            between("task.most_support", self.most_support, self.n_way, 10**6)
        between("task.k_shot", self.k_shot, 1, 1000)
        between("task.n_query", self.n_query, 1, 1000)
