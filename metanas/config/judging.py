"""What happens after meta-training: how a new task is adapted to, and how a run is judged."""

from dataclasses import dataclass, field
from typing import Literal

from metanas.config.ranges import between
from metanas.errors import ConfigError
from tasks.augment.views import VIEWS
from tasks.catalogue import CARDS


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
    arch_steps: int | None = None
    """Of `steps`, how many, the first ones, move the logits; without it all. See `inner.arch_steps`."""
    threshold: float | None = None
    """Gates of soft pruning that are at most this are left out; without it `relax.threshold`. MetaNAS takes 0.05."""
    samples: int = 0
    """Draws of noisy gates whose mean loss the support steps of `gradient` descend, each as long as a step without
    noise; 0 takes the noiseless gates. Gates without noise have nothing to draw."""
    cells: int = 8
    """Cells that are drawn from a task's posterior, for meta.gradient=variational: `adapt` writes them down, and in an
    evaluation they predict together (the row `drawn_cells`). 0 draws none."""
    deploy: Literal["child", "supernet"] = "child"
    """The network that is handed out and whose accuracy is the headline."""
    classifier: Literal["trained", "means", "cosine"] = "trained"
    """The classifier of that network: as trained with it, or the class means of the support set's features, by distance
    (means) or by angle (cosine), seen from the mean features of the reference images where there are any."""
    reference: int = 0
    """Training images, kept with the run, whose statistics normalise all images of a task, as running averages do in a
    network that was trained on all classes at once; 0 normalises with the statistics of the task's own images. At most
    as many as in meta-training, which keeps them."""
    background: int = 0
    """Further training images, kept with the run, by whose features angles are seen (adapt.classifier=cosine, and the
    refined rows of an evaluation): in coordinates in which these vary about equally in all directions, so that what
    varies within any class counts for less (`metanas.prototypes.whitened`); 0 sees them from the mean features of the
    reference images alone."""
    views: list[str] = field(default_factory=list)
    """Further views of each image of a task, whose features and logits count as much as its own: `flip` mirrors it (not
    for letters), `affine` turns it by 6 degrees either way, `crop` shifts it by a tenth of the resolution, to the four
    sides. For networks that saw such images in meta-training (`meta.augment`)."""

    @property
    def deployed_steps(self) -> int:
        """Support steps of the network that is handed out, search and child together."""
        return self.steps + (self.child_steps if self.deploy == "child" else 0)

    def __post_init__(self) -> None:
        wanted = {"uniform": "supernet", "prior": "child", "random": "child"}.get(self.strategy, self.deploy)
        if self.deploy != wanted:
            raise ConfigError(
                f"adapt.strategy={self.strategy} leaves no {self.deploy} to hand out; expected adapt.deploy={wanted}, "
                f"got {self.deploy}"
            )
        between("adapt.steps", self.steps, 0, 10**6)
        between("adapt.child_steps", self.child_steps, 0, 10**6)
        if self.arch_steps is not None:
            between("adapt.arch_steps", self.arch_steps, 0, self.steps)
        if self.threshold is not None:
            between("adapt.threshold", self.threshold, 0.0, 1.0)
        for name in self.views:
            if name not in VIEWS or self.views.count(name) > 1:
                raise ConfigError(f"adapt.views names views, each once, of {', '.join(VIEWS)}, got {name!r}")
        between("adapt.reference", self.reference, 0, 10**5)
        if self.background:
            between("adapt.background", self.background, 2, 10**5)  # one image varies in no direction
        if self.background and not (self.reference and self.classifier == "cosine"):
            raise ConfigError(
                f"adapt.background={self.background} says how angles are seen beside reference images: expected "
                "adapt.classifier=cosine and adapt.reference above 0, or adapt.background=0, got "
                f"{self.classifier} and {self.reference}"
            )
        between("adapt.samples", self.samples, 0, 1000)
        between("adapt.cells", self.cells, 0, 10**6)
        for name in ("lr_weights", "lr_arch"):
            if getattr(self, name) is not None:
                between(f"adapt.{name}", getattr(self, name), 0.0, 1e6)


METHODS = (
    "supernet",
    "child",
    "child_tuned",
    "drawn_cells",
    "prior_child",
    "resting_child",
    "random_child",
    "class_means",
    "refined_means",
    "balanced_means",
    "nearest_neighbour",
)
"""The rows that an evaluation can have (`metanas.run.comparison`)."""


@dataclass(frozen=True)
class Evaluate:
    """How a run is judged."""

    episodes: int = 600
    """Episodes of test classes."""
    n_way: int | None = None
    """Classes in an episode of validation and evaluation, at most as many as in meta-training; without it
    `task.n_way`. Prototypes are learned better from more classes than they are judged with (Snell et al. 2017,
    arXiv 1703.05175, "Episode composition")."""
    k_shot: int | None = None
    """Support images a class there; without it `task.k_shot`."""
    n_query: int = 15
    """Query images a class there."""
    sources: list[str] = field(default_factory=list)
    """Data sets whose classes are shown, each in `episodes` episodes, e.g. [omniglot, glyphs]; without any those of
    meta-training. The headline is the mean over them."""
    methods: list[str] = field(default_factory=list)
    """Rows of the comparison beside that of the deployed network, e.g. [prior_child]; without any all that differ. A
    random cell for each task takes the longest, because each is another network."""
    chunk: int = 8
    """Episodes scored in one call, in one process. Random and sampled cells are drawn for a call at once, so that
    another number draws others."""
    timed: int = 10
    """Episodes that are also adapted one at a time, for the seconds a task."""
    checkpoint: Literal["best", "last"] = "best"
    """`best` is chosen on validation classes."""

    def __post_init__(self) -> None:
        between("evaluate.episodes", self.episodes, 2, 10**9)  # one has no interval
        if self.n_way is not None:
            between("evaluate.n_way", self.n_way, 2, 100_000)
        if self.k_shot is not None:
            between("evaluate.k_shot", self.k_shot, 1, 1000)
        between("evaluate.n_query", self.n_query, 1, 1000)
        for name in self.sources:
            if name not in CARDS or self.sources.count(name) > 1:
                raise ConfigError(f"evaluate.sources names data sets, each once, of {', '.join(CARDS)}, got {name!r}")
        for name in self.methods:
            if name not in METHODS or self.methods.count(name) > 1:
                raise ConfigError(f"evaluate.methods names rows, each once, of {', '.join(METHODS)}, got {name!r}")
        between("evaluate.chunk", self.chunk, 1, 10**6)
        between("evaluate.timed", self.timed, 1, 10**6)
