"""From a configuration to objects: the only reader of the registries below."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy
import torch

from metanas.allocator import keep_freed_memory
from metanas.config import Adapt, Data, Experiment, Relax, Space
from metanas.config.search import SearchExperiment
from metanas.config_file import AnyExperiment
from metanas.errors import ConfigError
from metanas.meta.adapt import Inner
from metanas.meta.gradient import MetaGradient
from metanas.meta.higher_descent import check_higher
from metanas.meta.imaml import Imaml
from metanas.meta.joint import Joint
from metanas.meta.learner import Descent, MetaLearner
from metanas.meta.maml import Maml
from metanas.meta.metric import Metric
from metanas.meta.multi_step import MultiStep
from metanas.meta.reptile import Reptile
from metanas.meta.variational import Variational
from metanas.objective import Criterion, cross_entropy, relation_error
from metanas.relax.pruned_softmax import PrunedSoftmax
from metanas.relax.relaxation import Relaxation
from metanas.relax.soft_pruning import SoftPruning
from metanas.relax.softmax import Softmax
from metanas.relax.straight_through import StraightThrough
from metanas.spaces.backbone import Backbone
from metanas.spaces.cell_choices import NONE
from metanas.spaces.conv4 import Conv4
from metanas.spaces.darts import Darts
from metanas.spaces.fewshot import FewShot
from metanas.spaces.genotype import check_genotype
from metanas.spaces.head import HeadName
from metanas.spaces.input_pairs import names_pairs
from metanas.spaces.metanas import MetaNas
from metanas.spaces.nas_bench_201 import NasBench201
from metanas.spaces.resnet12 import METAOPTNET, TADAM, ResNet12
from metanas.spaces.space import SearchSpace
from metanas.strategies.gradient import Gradient
from metanas.strategies.prior import Prior
from metanas.strategies.random import Random
from metanas.strategies.strategy import Strategy
from metanas.strategies.uniform import Uniform
from tasks.augment import AUGMENTATIONS, Augmented, rotations
from tasks.catalogue import CARDS, IMAGE_READERS, READERS
from tasks.channels import with_channels
from tasks.data_root import cache_root, data_root
from tasks.dataset import Dataset
from tasks.duplicates import without_duplicates
from tasks.episode import Episodes, TaskSpec
from tasks.errors import DataError, TooFewImages
from tasks.mixture import Mixture, check_mixable
from tasks.sampler import EpisodeSampler
from tasks.sources.folder import folder
from tasks.sources.glyphs import glyphs
from tasks.split import HELD_OUT, SplitName, refuse_seen
from tasks.varied import VariedSampler

_LOG = logging.getLogger(__name__)

SPACES: dict[str, Callable[[Space, HeadName], SearchSpace]] = {
    "fewshot": lambda space, head: FewShot(space.width, space.nodes, head, space.partial),
    "darts": lambda space, head: Darts(
        space.width, space.nodes, _given(space.cells, Darts.stack), head=head, partial=space.partial
    ),
    "metanas": lambda space, head: MetaNas(space.width, space.nodes, _given(space.cells, MetaNas.stack), head),
    "nas_bench_201": lambda space, head: NasBench201(space.width, _given(space.cells, NasBench201.cells_a_stage), head),
    "conv4": lambda space, head: Backbone(lambda spec: Conv4(spec, space.width, head)),
    "resnet12": lambda space, head: Backbone(lambda spec: ResNet12(spec, space.width, METAOPTNET, head)),
    "resnet12_tadam": lambda space, head: Backbone(lambda spec: ResNet12(spec, space.width, TADAM, head)),
}


def _given(cells: int | None, published: int) -> int:
    """`cells`, or as many as published where none are asked for."""
    return published if cells is None else cells


GRADIENTS: dict[str, Callable[[Experiment], MetaGradient]] = {
    "maml": lambda experiment: (
        MultiStep(experiment.inner, experiment.meta.multi_step)
        if experiment.meta.multi_step
        else Maml(experiment.inner)
    ),
    "reptile": lambda experiment: Reptile(experiment.inner),
    "imaml": lambda experiment: Imaml(experiment.inner, experiment.meta.cg_steps),
    "variational": lambda experiment: Variational(experiment.inner),
    "joint": lambda experiment: Joint(),
    "prototypes": lambda experiment: Metric(),
    "relation": lambda experiment: Metric(),
}

STRATEGIES: dict[str, Callable[[Relaxation, Inner, Relax, Adapt], Strategy]] = {
    "gradient": lambda gates, inner, relax, adapt: Gradient(
        gates, inner, relax.temperature_end, adapt.samples, relax.temperature_first
    ),
    "prior": lambda gates, inner, relax, adapt: Prior(),
    "random": lambda gates, inner, relax, adapt: Random(),
    "uniform": lambda gates, inner, relax, adapt: Uniform(inner),
}

RELAXATIONS: dict[str, Callable[[SearchSpace, Relax], Relaxation]] = {
    "straight_through": lambda space, relax: StraightThrough(space.harden),
    "softmax": lambda space, relax: Softmax(),
    "gumbel_softmax": lambda space, relax: Softmax(sample=True),
    "soft_pruning": lambda space, relax: _soft_pruning(space, relax.threshold),
}


def _soft_pruning(space: SearchSpace, threshold: float) -> Relaxation:
    """By the logits for pairs of inputs, or, in a space that has none, by those of the operations."""
    if any(map(names_pairs, space.logits())):
        return PrunedSoftmax(threshold)
    found = SoftPruning(space.primitives.index(NONE) if NONE in space.primitives else None, threshold)
    found(space.logits(), 1.0, {})  # cells that it cannot prune are refused here, before a run begins
    return found


def device(experiment: AnyExperiment) -> torch.device:
    """The device asked for; sets one CPU thread an operation, flushes denormal numbers to zero, and keeps freed memory.

    Cores work on tasks of their own: faster for small networks, and the bits do not depend on the number of cores.
    Saturated gates times activations make denormals, which slow a CPU down twenty times.
    """
    torch.set_num_threads(1)
    for kind in (numpy.float32, numpy.float64):
        numpy.finfo(kind)  # measured once and kept; it would warn where denormals are gone
    torch.set_flush_denormal(True)
    keep_freed_memory()
    has_gpu = torch.cuda.is_available()
    if experiment.device == "cuda" and not has_gpu:
        raise ConfigError("device=cuda was asked for, but torch sees no GPU; use device=cpu or device=auto")
    return torch.device("cuda" if has_gpu and experiment.device != "cpu" else "cpu")


def processes(experiment: Experiment) -> int:
    """How many processes work at once; one where torch sees a GPU, whose state a forked process cannot share."""
    return 1 if torch.cuda.is_available() else experiment.threads or os.cpu_count() or 1


def dataset(data: Data) -> Dataset:
    """The data set; raises `DataError` where it is missing or damaged."""
    read = _read(data)
    found = with_channels(without_duplicates(read) if data.drop_duplicates else read, data.channels)
    if found.bank.skipped:
        _LOG.warning(
            "%s: left out %d file%s that cannot be read, first %s",
            data.source,
            len(found.bank.skipped),
            "" if len(found.bank.skipped) == 1 else "s",
            found.bank.skipped[0],
        )
    return rotations(found) if data.rotations else found


def _read(data: Data) -> Dataset:
    if data.source == "glyphs":
        return glyphs(data.resolution, cache=cache_root())
    if data.source in IMAGE_READERS:
        others = ", ".join(name for name in CARDS if name not in IMAGE_READERS)
        raise DataError(
            f"expected a data set that holds out classes for validation and test, got {data.source}, which shows the "
            f"same {CARDS[data.source].shared} classes in training and test; choose one of {others}"
        )
    root = data_root(data.root)
    if data.source == "folder":
        image = (data.channels, data.resolution, data.resolution)
        return folder(root, image, skip_corrupt=data.skip_corrupt, allow_duplicates=data.drop_duplicates)
    return READERS[data.source](root, data.resolution, cache_root(), skip_corrupt=data.skip_corrupt)


def spec(experiment: Experiment) -> TaskSpec:
    """The shape of the episodes of meta-training."""
    data, task = experiment.data, experiment.task
    image = (data.channels, data.resolution, data.resolution)
    return TaskSpec(task.n_way, task.k_shot, task.n_query, image, task.varied)


def judged_spec(experiment: Experiment) -> TaskSpec:
    """The shape of the episodes of validation and evaluation."""
    trained, judging = spec(experiment), experiment.evaluate
    return replace(
        trained,
        n_way=judging.n_way or trained.n_way,
        k_shot=judging.k_shot or trained.k_shot,
        n_query=judging.n_query,
    )


def episodes(experiment: Experiment, found: Dataset, split: SplitName) -> Episodes:
    """The episodes of one split on the device of `found`, the same for every method that is compared on them."""
    bank = found[split]  # its name holds the split, so no two splits draw alike
    is_trained, task, seed = split == "train", experiment.task, experiment.seed
    shape = spec(experiment) if is_trained else judged_spec(experiment)
    if task.varied:
        return VariedSampler(bank, shape, seed, least_way=task.least_way, most_support=task.most_support)
    try:
        return EpisodeSampler(bank, shape, seed, by_class=is_trained and task.labels == "classes")
    except TooFewImages as error:
        key = "task.n_query" if is_trained else "evaluate.n_query"
        raise DataError(f"{error} ({split} episodes take n_query from {key})") from error


def training(experiment: Experiment, parts: Sequence[Dataset]) -> Episodes:
    """The episodes of meta-training: those of the data sets `parts`, `data.source` first, augmented and mixed."""
    data = experiment.data
    check_mixable(parts)
    members = [_augmented(experiment, episodes(experiment, part, "train")) for part in parts]
    if len(members) == 1:
        return members[0]
    weights = [len(part.split.train) for part in parts] if data.mixing == "proportional" else None
    return Mixture(members, experiment.seed, data.weights or weights)


def _augmented(experiment: Experiment, found: Episodes) -> Episodes:
    """Training episodes as `meta.augment` changes their images."""
    names = experiment.meta.augment
    if not names:
        return found
    changes = [AUGMENTATIONS[name](experiment.data.resolution) for name in names]
    return Augmented(found, changes, experiment.seed, query=True)


def check_unseen(trained: Experiment, found: Dataset, split: SplitName) -> None:
    """Raises `DataError` when `split` of `found` holds out what the run `trained` on as another published data set."""
    for name in trained.data.sources:
        published = CARDS[name].split
        if published is not None and split in HELD_OUT:
            refuse_seen(published().train, name, found.split[split], f"the {split} classes of {found.name}")


def space(experiment: Experiment | SearchExperiment) -> SearchSpace:
    """The search space, or the one network of `space.genotype`; raises `GenotypeError` where it has no such network.

    Networks compare instead of classifying where relations are learned.
    """
    is_relation = isinstance(experiment, Experiment) and experiment.meta.gradient == "relation"
    found = SPACES[experiment.space.kind](experiment.space, "relation" if is_relation else "linear")
    genotype = tuple(experiment.space.genotype)
    if not genotype:
        return found
    check_genotype(found, genotype)
    return Backbone(lambda spec: found.child(genotype, spec))


def precision(given: Space) -> torch.dtype:
    """Of features in training and adaptation."""
    return torch.bfloat16 if given.precision == "bfloat16" else torch.get_default_dtype()


def criterion(experiment: Experiment) -> Criterion:
    """What is learned to be small."""
    return relation_error if experiment.meta.gradient == "relation" else cross_entropy


def relaxation(experiment: Experiment, found: SearchSpace) -> Relaxation:
    """The relaxation."""
    return RELAXATIONS[experiment.relax.kind](found, experiment.relax)


def learner(experiment: Experiment) -> MetaLearner:
    """The meta-learner."""
    return Descent(GRADIENTS[experiment.meta.gradient](experiment), experiment.outer)


def strategy(experiment: Experiment, found: SearchSpace) -> Strategy:
    """How a new task is searched."""
    adapt = experiment.adapt
    if experiment.inner.engine == "higher":
        check_higher()
    inner, relax = inner_of(experiment, adapt.steps), experiment.relax
    if adapt.threshold is not None:
        relax = replace(relax, threshold=adapt.threshold)
    return STRATEGIES[adapt.strategy](RELAXATIONS[relax.kind](found, relax), inner, relax, adapt)


def child_steps(experiment: Experiment) -> int:
    """Support steps of the child: it also gets those that its strategy does not spend on a search."""
    adapt = experiment.adapt
    return adapt.child_steps + (adapt.steps if adapt.strategy in ("prior", "random") else 0)


def inner_of(experiment: Experiment, steps: int) -> Inner:
    """The step sizes of adaptation after meta-training, for `steps` steps."""
    adapt, inner = experiment.adapt, experiment.inner
    return replace(
        inner,
        steps=steps,
        arch_steps=adapt.arch_steps,
        lr_weights=inner.lr_weights if adapt.lr_weights is None else adapt.lr_weights,
        lr_arch=inner.lr_arch if adapt.lr_arch is None else adapt.lr_arch,
        first_order=True,
    )
