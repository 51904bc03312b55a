"""All groups of a meta-training run together."""

from dataclasses import dataclass, field

from metanas.config.data import Data, Task
from metanas.config.device import DeviceName
from metanas.config.judging import Adapt, Evaluate
from metanas.config.meta import Meta
from metanas.config.network import Relax, Space
from metanas.config.pairs import check_pairs
from metanas.config.ranges import between, check_name
from metanas.config.tracking import Track
from metanas.meta.adapt import Inner
from metanas.optim import Outer


@dataclass(frozen=True)
class Experiment:
    """All that defines a run; the run is a function of it."""

    name: str = "experiment"
    """For people: the run directory and the tracker use it."""
    seed: int = 0
    device: DeviceName = "cpu"
    threads: int = 0
    """CPU processes of one thread, each working on its own tasks; 0 means one for each core. Changes no result."""
    start: str | None = None
    """Directory of a meta-trained run of the same space whose weights, the classifier's apart, and logits this run
    begins with, such as one of joint training; without it they are drawn from the seed."""
    data: Data = field(default_factory=Data)
    task: Task = field(default_factory=Task)
    space: Space = field(default_factory=Space)
    relax: Relax = field(default_factory=Relax)
    inner: Inner = field(default_factory=Inner)
    outer: Outer = field(default_factory=Outer)
    meta: Meta = field(default_factory=Meta)
    adapt: Adapt = field(default_factory=Adapt)
    evaluate: Evaluate = field(default_factory=Evaluate)
    track: Track = field(default_factory=Track)

    def __post_init__(self) -> None:
        between("threads", self.threads, 0, 1024)
        check_name(self.name)
        check_pairs(self)

    def temperature_first(self, iteration: int) -> float | None:
        """The temperature in the first inner step at that outer iteration, where it falls anew in every task."""
        return None if self.meta.is_warming(iteration) else self.relax.temperature_first

    def temperature(self, iteration: int) -> float:
        """The temperature of the gates at that outer iteration, after the inner loop; it falls after the warm-up."""
        if self.relax.anneal == "task":
            return self.relax.temperature_start if self.meta.is_warming(iteration) else self.relax.temperature_end
        return self.relax.temperature(self.meta.search_progress(iteration))
