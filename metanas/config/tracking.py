"""What is written while running."""

from dataclasses import dataclass, field
from typing import Literal

from metanas.config.ranges import between


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
class EpochTrack:
    """What is written while searching, exploring or training from scratch: a row an epoch, or a cell."""

    wandb: Wandb = field(default_factory=Wandb)
