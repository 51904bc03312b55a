"""From a configuration to objects: the only reader of the registries below."""

import os
from collections.abc import Callable
from dataclasses import replace

import numpy
import torch

from metanas.allocator import keep_freed_memory
from metanas.config import Adapt, Experiment, Relax, Space
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
from metanas.objective import Criterion, SmoothedCrossEntropy, cross_entropy, relation_error
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
from metanas.spaces.resnet import METAOPTNET, NARROW, NARROW_MAPS, TADAM, ResNet
from metanas.spaces.space import SearchSpace
from metanas.strategies.gradient import Gradient
from metanas.strategies.prior import Prior
from metanas.strategies.random import Random
from metanas.strategies.strategy import Strategy
from metanas.strategies.uniform import Uniform

SPACES: dict[str, Callable[[Space, HeadName], SearchSpace]] = {
    "fewshot": lambda space, head: FewShot(space.width, space.nodes, head, space.partial),
    "darts": lambda space, head: Darts(
        space.width, space.nodes, _given(space.cells, Darts.stack), head=head, partial=space.partial
    ),
    "metanas": lambda space, head: MetaNas(space.width, space.nodes, _given(space.cells, MetaNas.stack), head),
    "nas_bench_201": lambda space, head: NasBench201(
        space.width, _given(space.cells, NasBench201.cells_a_stage), head, space.connected
    ),
    "conv4": lambda space, head: Backbone(lambda spec: Conv4(spec, space.width, head)),
    "resnet8": lambda space, head: Backbone(lambda spec: ResNet(spec, space.width, NARROW, head)),
    "resnet8_maps": lambda space, head: Backbone(lambda spec: ResNet(spec, space.width, NARROW_MAPS, head)),
    "resnet12": lambda space, head: Backbone(lambda spec: ResNet(spec, space.width, METAOPTNET, head)),
    "resnet12_tadam": lambda space, head: Backbone(lambda spec: ResNet(spec, space.width, TADAM, head)),
}


HEADS: dict[str | None, HeadName] = {"cosine_prototypes": "cosine", "relation": "relation"}
"""Of the networks that a metric learner trains; others have linear ones."""


def _given(cells: int | None, published: int) -> int:
    """`cells`, or as many as published where none are asked for."""
    return published if cells is None else cells


GRADIENTS: dict[str, Callable[[Experiment], MetaGradient]] = {
    "maml": lambda experiment: (
        MultiStep(experiment.inner, experiment.meta.multi_step)
        if experiment.meta.multi_step
        else Maml(experiment.inner)
    ),
    "reptile": lambda experiment: Reptile(experiment.inner, experiment.meta.minibatches),
    "imaml": lambda experiment: Imaml(experiment.inner, experiment.meta.cg_steps),
    "variational": lambda experiment: Variational(experiment.inner),
    "joint": lambda experiment: Joint(),
    "prototypes": lambda experiment: Metric(),
    "cosine_prototypes": lambda experiment: Metric(),
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


def space(experiment: Experiment | SearchExperiment) -> SearchSpace:
    """The search space, or the one network of `space.genotype`; raises `GenotypeError` where it has no such network.

    Networks end as their metric learner compares: by angle, or by learned relations.
    """
    gradient = experiment.meta.gradient if isinstance(experiment, Experiment) else None
    found = SPACES[experiment.space.kind](experiment.space, HEADS.get(gradient, "linear"))
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
    if experiment.meta.gradient == "relation":
        return relation_error
    smoothing = experiment.meta.smoothing
    return SmoothedCrossEntropy(smoothing) if smoothing else cross_entropy


def relaxation(experiment: Experiment, found: SearchSpace) -> Relaxation:
    """The relaxation."""
    return _relaxed(found, experiment.relax, "relax.threshold")


def learner(experiment: Experiment) -> MetaLearner:
    """The meta-learner."""
    return Descent(GRADIENTS[experiment.meta.gradient](experiment), experiment.outer)


def strategy(experiment: Experiment, found: SearchSpace) -> Strategy:
    """How a new task is searched."""
    adapt = experiment.adapt
    if experiment.inner.engine == "higher":
        check_higher()
    inner, relax = inner_of(experiment, adapt.steps), experiment.relax
    key = "relax.threshold"
    if adapt.threshold is not None:
        relax, key = replace(relax, threshold=adapt.threshold), "adapt.threshold"
    return STRATEGIES[adapt.strategy](_relaxed(found, relax, key), inner, relax, adapt)


def _relaxed(found: SearchSpace, relax: Relax, key: str) -> Relaxation:
    """The relaxation; raises `ConfigError` where the threshold `key` leaves nothing of equal logits, so that no logit
    would ever get a gradient."""
    relaxation = RELAXATIONS[relax.kind](found, relax)
    if relax.kind == "soft_pruning":
        equal = {name: torch.zeros_like(logits) for name, logits in found.logits().items()}
        if not all(gates.any(-1).all() for gates in relaxation(equal, relax.temperature_start, {}).values()):
            raise ConfigError(
                f"{key}={relax.threshold} prunes every option that an edge or a node has where logits are equal, and "
                f"none of them would ever be learned: expected less than the gate of an equal option; lower {key}"
            )
    return relaxation


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
