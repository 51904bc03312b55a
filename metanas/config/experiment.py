"""All groups of a meta-training run together."""

from dataclasses import dataclass, field

from metanas.config.data import Data, Task
from metanas.config.device import DeviceName
from metanas.config.judging import Adapt, Evaluate
from metanas.config.meta import METRIC, Meta
from metanas.config.network import Relax, Space
from metanas.config.ranges import between, check_name
from metanas.config.tracking import Track
from metanas.errors import ConfigError
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
        adapt = self.adapt
        is_stepless = adapt.steps == adapt.child_steps == 0
        if self.meta.gradient in ("cosine_prototypes", "relation") and adapt.classifier == "cosine":
            raise ConfigError(
                f"meta.gradient={self.meta.gradient} learns how to compare class means: expected "
                "adapt.classifier=means, got cosine"
            )
        if self.meta.gradient in METRIC and not (is_stepless and adapt.classifier != "trained"):
            raise ConfigError(
                f"meta.gradient={self.meta.gradient} takes no support steps: expected adapt.steps=0 "
                f"adapt.child_steps=0 adapt.classifier=means, got {adapt.steps}, {adapt.child_steps} and "
                f"{adapt.classifier}; set these three too"
            )
        if self.task.labels == "classes":
            if self.meta.gradient != "joint" or adapt.classifier == "trained":
                raise ConfigError(
                    "task.labels=classes teaches one classifier of all training classes: expected meta.gradient=joint "
                    "and adapt.classifier=means or cosine, which do without it, got "
                    f"{self.meta.gradient} and {adapt.classifier}"
                )
            if self.data.mix:
                raise ConfigError(
                    f"task.labels=classes takes the classes of one data set for labels, got data.mix={self.data.mix}"
                )
        elif self.meta.smoothing:
            raise ConfigError(
                f"meta.smoothing={self.meta.smoothing} softens the labels of one classifier of all classes: expected "
                f"task.labels=classes, got {self.task.labels}; set meta.smoothing=0"
            )
        if (self.evaluate.n_way or 0) > self.task.n_way:
            raise ConfigError(
                f"evaluate.n_way={self.evaluate.n_way} classes are more than task.n_way={self.task.n_way} taught a "
                "network to tell apart; lower evaluate.n_way, or meta-train with a larger task.n_way"
            )
        if self.inner.rates != "fixed" and self.meta.gradient not in ("maml", "variational"):
            raise ConfigError(
                f"inner.rates={self.inner.rates} is learned through the inner loop, which meta.gradient=maml and "
                f"variational differentiate, got meta.gradient={self.meta.gradient}; take inner.rates=fixed"
            )
        if self.meta.gradient == "variational" and not self.inner.kl_arch:
            raise ConfigError(
                "meta.gradient=variational needs inner.kl_arch above 0, got 0, which is meta.gradient=maml; 1 is "
                "Bayes' rule"
            )
        if self.meta.multi_step and self.inner.steps < 2:
            raise ConfigError(
                f"meta.multi_step={self.meta.multi_step} weighs inner steps: expected inner.steps of at least 2, got "
                f"{self.inner.steps}; set meta.multi_step=0"
            )
        is_exact = self.meta.gradient in ("maml", "variational") and not self.inner.first_order
        if self.inner.optimiser == "adam" and is_exact:
            raise ConfigError(
                "inner.optimiser=adam cannot be differentiated through: expected inner.first_order=true with "
                f"meta.gradient={self.meta.gradient}, got false; or take meta.gradient=reptile, or inner.optimiser=sgd"
            )

    def temperature_first(self, iteration: int) -> float | None:
        """The temperature in the first inner step at that outer iteration, where it falls anew in every task."""
        return None if self.meta.is_warming(iteration) else self.relax.temperature_first

    def temperature(self, iteration: int) -> float:
        """The temperature of the gates at that outer iteration, after the inner loop; it falls after the warm-up."""
        if self.relax.anneal == "task":
            return self.relax.temperature_start if self.meta.is_warming(iteration) else self.relax.temperature_end
        return self.relax.temperature(self.meta.search_progress(iteration))
