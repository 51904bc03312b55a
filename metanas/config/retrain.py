"""The configuration of a training of found cells from scratch: schema, defaults and ranges."""

import math
from dataclasses import dataclass, field
from typing import Literal

from metanas.config.data import Data
from metanas.config.device import DeviceName
from metanas.config.ranges import between, check_name
from metanas.config.tracking import EpochTrack
from metanas.errors import ConfigError

Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class RetrainImages:
    """How training images reach the network; all images are normalised with the training images' mean and deviation."""

    per_class: int = 0
    """Training images of each class, drawn with the seed; 0 takes all. Test images are always all."""
    batch: int = 96
    """Images in a batch."""
    crop: int = 4
    """Pixels of padding of the random crops; 0 crops nothing."""
    flip: bool = True
    """Mirror images at random; not for digits."""
    cutout: int = 16
    """Height and width in pixels of the square that is left out of each image; 0 leaves out none."""

    def __post_init__(self) -> None:
        between("images.per_class", self.per_class, 0, 10**9)
        between("images.batch", self.batch, 2, 10**6)
        between("images.crop", self.crop, 0, 256)
        between("images.cutout", self.cutout, 0, 512)


@dataclass(frozen=True)
class Derived:
    """The network that is made of the cells."""

    width: int = 36
    """Channels of a node in the first cells, even; each of the two reductions doubles them."""
    cells: int = 20
    """Cells, 3 to 64."""
    auxiliary: float = 0.4
    """Weight of the auxiliary head's loss; 0 leaves the head out. It needs images of 32 to 40 pixels or so."""
    drop_path: float = 0.2
    """Probability that an edge is dropped in the last epochs; it grows linearly from 0."""

    def __post_init__(self) -> None:
        if self.width < 2 or self.width % 2:
            raise ConfigError(f"network.width must be even and at least 2, got {self.width}")
        between("network.cells", self.cells, 3, 64)
        between("network.auxiliary", self.auxiliary, 0.0, 100.0)
        if not 0 <= self.drop_path < 1:
            raise ConfigError(f"network.drop_path must be in [0, 1), got {self.drop_path}")


@dataclass(frozen=True)
class Retrain:
    """The recipe; the defaults are those of DARTS (arXiv 1806.09055, section 3.2)."""

    epochs: int = 600
    """Passes over the training images."""
    lr: float = 0.025
    """Step size in the first epoch; it falls along a cosine."""
    lr_end: float = 0.0
    """The value that the cosine leads to."""
    momentum: float = 0.9
    decay: float = 3e-4
    """Weight decay."""
    clip: float = 5.0
    """Largest norm of the gradient; 0 never clips."""
    precision: Precision = "float32"
    """`bfloat16` computes convolutions and matrix products in 16 bits, on a GPU alone; weights keep 32."""
    save_every: int = 1
    """Epochs between two checkpoints."""

    def __post_init__(self) -> None:
        between("retrain.epochs", self.epochs, 1, 10**6)
        for name in ("lr", "lr_end", "decay", "clip"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"retrain.{name} must be 0 or more, got {getattr(self, name)}")
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"retrain.momentum must be in [0, 1), got {self.momentum}")
        between("retrain.save_every", self.save_every, 1, 10**6)


@dataclass(frozen=True)
class RetrainExperiment:
    """All that defines a training from scratch; the run is a function of it."""

    name: str = "retrain"
    """For people: the run directory and the tracker use it."""
    seed: int = 0
    device: DeviceName = "cpu"
    threads: int = 1
    """CPU threads of an operation; 0 means one for each core. Another number rounds differently."""
    genotype: str = ""
    """The cells in the text of the literature; `metanas retrain` fills it in."""
    data: Data = field(default_factory=lambda: Data(source="cifar10", resolution=32, channels=3))
    images: RetrainImages = field(default_factory=RetrainImages)
    network: Derived = field(default_factory=Derived)
    retrain: Retrain = field(default_factory=Retrain)
    track: EpochTrack = field(default_factory=EpochTrack)

    def __post_init__(self) -> None:
        between("threads", self.threads, 0, 1024)
        check_name(self.name)
        if self.data.mix or self.data.weights:
            raise ConfigError(
                f"a network is trained for one task: data.mix and data.weights must be [], "
                f"got {self.data.mix or self.data.weights}"
            )
