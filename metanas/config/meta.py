"""The outer loop."""

import math
from dataclasses import dataclass, field
from typing import Literal

from metanas.config.ranges import between
from metanas.errors import ConfigError
from metanas.meta.batch import Execute
from tasks.augment.named import AUGMENTATIONS

METRIC = ("prototypes", "cosine_prototypes", "relation")
"""The values of `meta.gradient` that are metric learners."""


@dataclass(frozen=True)
class Meta:
    """The outer loop."""

    gradient: Literal[
        "maml", "reptile", "imaml", "variational", "joint", "prototypes", "cosine_prototypes", "relation"
    ] = "maml"
    """How tasks move the start: through the query loss after adaptation (maml; imaml through the solution of a proximal
    problem), towards where adaptation ends (reptile), as a prior whose posterior adaptation finds
    (variational: BASE; needs inner.kl_arch), or by their loss at the start itself (joint, the baseline).
    `prototypes`, by distance, `cosine_prototypes`, by angle with a learned scale, and `relation` are metric learners,
    whose classifier is the support set: they ignore `inner`, and need adapt.steps=0, adapt.child_steps=0 and
    adapt.classifier=means."""
    cg_steps: int = 5
    """Hessian-vector products of an implicit gradient; other gradients take none."""
    minibatches: int = 1
    """Into how many parts the images of a task are dealt, support and query together, for one inner step of
    meta.gradient=reptile after another; 1 shows all of them to every step. What steps on different images agree on is
    what new images share (Nichol et al. 2018, arXiv 1803.02999, section 5.1), so Reptile learns little without."""
    iterations: int = 400
    """Outer steps."""
    tasks: int = 16
    """Episodes in a meta-batch."""
    chunk: int = 8
    """Tasks executed in one call, in one process; 0 means all of them. Fewer need less memory and busy more cores: at
    most `tasks / chunk` processes share a meta-batch."""
    execute: Execute = "auto"
    """How the tasks of a chunk run: `fold` in one call, `vmap` in one call by torch.func.vmap, `loop` one by one, which
    needs the least memory; `auto` folds. Changes results by rounding only; a call that finds too little memory is made
    for half the tasks."""
    augment: list[str] = field(default_factory=list)
    """How the images of training episodes, support and query, are changed at random, one after the other: `crop` shifts
    by up to an eighth of the resolution, `flip` mirrors (not for letters), `affine` turns by up to 12 degrees,
    stretches and slants, `jitter` changes brightness, contrast and saturation by up to 0.4, `cutout` blackens a square
    of a quarter of the resolution. Validation, evaluation and adaptation see images as they are."""
    smoothing: float = 0.0
    """Share of a label that is spread over all classes alike, 0 to 1, for task.labels=classes (Szegedy et al. 2016,
    arXiv 1512.00567, section 7)."""
    arch_std: float = 0.1
    """Standard deviation of the first logits. DARTS starts at 0.001; straight-through gates need enough for the tasks
    of a meta-batch to agree on most operations, or no operation is trained for long."""
    warmup: float = 0.0
    """Share of the iterations, 0 to 1, in which the weights are learned alone: no loop moves the logits, and the
    temperature stays at its first value (Elsken et al. 2020, arXiv 1911.11090, take half)."""
    multi_step: float = 0.0
    """Share of the iterations, 0 to 1, in which the query losses after earlier inner steps count too, less and less
    (MAML++, a tenth in the paper); for meta.gradient=maml and at least two inner steps."""
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
    non_finite: Literal["raise", "skip"] = "raise"
    """What a query loss or meta-gradient that is not finite does, or a validation whose predictions are not: `raise`
    ends the run and names step, task and data set; `skip` leaves that meta-batch or validation out, says so, and goes
    on with the next one from the same start. An evaluation has nothing to leave out, and always ends."""
    skips: int = 10
    """Meta-batches and validations that `skip` leaves out of a run at most; one more ends it."""

    def __post_init__(self) -> None:
        between("meta.iterations", self.iterations, 1, 10**9)
        between("meta.tasks", self.tasks, 1, 10**6)
        between("meta.chunk", self.chunk, 0, 10**6)
        for name in self.augment:
            if name not in AUGMENTATIONS or self.augment.count(name) > 1:
                raise ConfigError(
                    f"meta.augment must name each of {', '.join(AUGMENTATIONS)} at most once, got {name!r} in "
                    f"{self.augment}"
                )
        between("meta.smoothing", self.smoothing, 0.0, 1.0)
        between("meta.arch_std", self.arch_std, 0.0, 100.0)
        between("meta.cg_steps", self.cg_steps, 0, 10**6)
        between("meta.minibatches", self.minibatches, 1, 10**6)
        if self.minibatches > 1 and self.gradient != "reptile":
            raise ConfigError(
                f"meta.minibatches={self.minibatches} is for meta.gradient=reptile, got {self.gradient}; set it to 1"
            )
        between("meta.warmup", self.warmup, 0.0, 1.0)
        between("meta.multi_step", self.multi_step, 0.0, 1.0)
        if self.multi_step and self.gradient != "maml":
            raise ConfigError(
                f"meta.multi_step={self.multi_step} is for meta.gradient=maml, got {self.gradient}; set it to 0"
            )
        between("meta.cosine", self.cosine, 0.0, 1.0)
        between("meta.patience", self.patience, 0, 10**9)
        if self.patience and not self.validate_every:
            raise ConfigError(
                f"meta.patience={self.patience} counts validations, but meta.validate_every=0 has none; "
                "set meta.validate_every above 0"
            )
        between("meta.validate_every", self.validate_every, 0, 10**9)
        between("meta.validate_episodes", self.validate_episodes, 2, 10**6)
        between("meta.skips", self.skips, 0, 10**9)
        between("meta.save_every", self.save_every, 1, 10**9)

    def is_warming(self, iteration: int) -> bool:
        """Whether the logits rest at that outer iteration."""
        return iteration < self.warmup * self.iterations

    def search_progress(self, iteration: int) -> float:
        """The share, 0 to 1, of the iterations after the warm-up that are done before `iteration`."""
        first = math.ceil(self.warmup * self.iterations)
        return max(0, iteration - first) / max(1, self.iterations - first)
