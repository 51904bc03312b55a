"""From a configuration to objects: the only reader of the registries below."""

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from typing import cast

import numpy
import torch

from metanas.config import Data, Experiment
from metanas.errors import ConfigError
from metanas.meta.adapt import Inner
from metanas.meta.gradient import MetaGradient
from metanas.meta.learner import Descent, MetaLearner
from metanas.meta.maml import Maml
from metanas.meta.reptile import Reptile
from metanas.relax.relaxation import Relaxation
from metanas.relax.softmax import Softmax
from metanas.relax.straight_through import StraightThrough
from metanas.spaces.fewshot import FewShot
from metanas.spaces.space import SearchSpace
from metanas.strategies.gradient import Gradient
from tasks.augment import rotations
from tasks.catalogue import CARDS, IMAGE_READERS, READERS, SourceName
from tasks.channels import with_channels
from tasks.data_root import cache_root, data_root
from tasks.dataset import Dataset
from tasks.episode import Episodes, TaskSpec
from tasks.errors import DataError
from tasks.mixture import Mixture, check_mixable
from tasks.sampler import EpisodeSampler
from tasks.sources.folder import folder
from tasks.sources.glyphs import glyphs
from tasks.split import HELD_OUT, SplitName, refuse_seen

_LOG = logging.getLogger(__name__)

SPACES: dict[str, Callable[[int, int], SearchSpace]] = {"fewshot": FewShot}

GRADIENTS: dict[str, Callable[[Inner], MetaGradient]] = {"maml": Maml, "reptile": Reptile}

RELAXATIONS: dict[str, Callable[[SearchSpace], Relaxation]] = {
    "straight_through": lambda space: StraightThrough(space.harden),
    "softmax": lambda space: Softmax(),
    "gumbel_softmax": lambda space: Softmax(sample=True),
}


def device(experiment: Experiment) -> torch.device:
    """The device asked for; sets one CPU thread an operation, and flushes denormal numbers to zero.

    Cores work on tasks of their own: faster for small networks, and the bits do not depend on the number of cores.
    Saturated gates times activations make denormals, which slow a CPU down twenty times.
    """
    torch.set_num_threads(1)
    for kind in (numpy.float32, numpy.float64):
        numpy.finfo(kind)  # measured once and kept; it would warn where denormals are gone
    torch.set_flush_denormal(True)
    has_gpu = torch.cuda.is_available()
    if experiment.device == "cuda" and not has_gpu:
        raise ConfigError("device=cuda was asked for, but torch sees no GPU; use device=cpu or device=auto")
    return torch.device("cuda" if has_gpu and experiment.device != "cpu" else "cpu")


def processes(experiment: Experiment) -> int:
    """How many processes work at once; one where torch sees a GPU, whose state a forked process cannot share."""
    return 1 if torch.cuda.is_available() else experiment.threads or os.cpu_count() or 1


def dataset(data: Data) -> Dataset:
    """The data set; raises `DataError` where it is missing or damaged."""
    found = with_channels(_read(data), data.channels)
    if found.bank.skipped:
        _LOG.warning(
            "%s: left out %d files that cannot be read, first %s",
            data.source,
            len(found.bank.skipped),
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
        return folder(root, (data.channels, data.resolution, data.resolution), skip_corrupt=data.skip_corrupt)
    return READERS[data.source](root, data.resolution, cache_root(), skip_corrupt=data.skip_corrupt)


def spec(experiment: Experiment, *, n_query: int | None = None) -> TaskSpec:
    """The shape of the experiment's episodes, in meta-training unless `n_query` is given."""
    data, task = experiment.data, experiment.task
    image = (data.channels, data.resolution, data.resolution)
    return TaskSpec(task.n_way, task.k_shot, n_query or task.n_query, image)


def episodes(experiment: Experiment, found: Dataset, split: SplitName, where: torch.device) -> EpisodeSampler:
    """The episodes of one split, the same for every method that is compared on them."""
    n_query = None if split == "train" else experiment.evaluate.n_query
    bank = found[split].to(where)  # its name holds the split, so no two splits draw alike
    return EpisodeSampler(bank, spec(experiment, n_query=n_query), experiment.seed)


def training(experiment: Experiment, found: Dataset, where: torch.device) -> Episodes:
    """The episodes of meta-training: those of the data set `found`, mixed with those of `data.mix`."""
    data = experiment.data
    others = [replace(data, source=cast(SourceName, name), mix=[], weights=[]) for name in data.mix]
    parts = [found, *map(dataset, others)]
    check_mixable(parts)
    members = [episodes(experiment, part, "train", where) for part in parts]
    if len(members) == 1:
        return members[0]
    weights = [len(part.split.train) for part in parts] if data.mixing == "proportional" else None
    return Mixture(members, experiment.seed, data.weights or weights)


def check_unseen(trained: Experiment, found: Dataset, split: SplitName) -> None:
    """Raises `DataError` when `split` of `found` holds out what the run `trained` on as another published data set."""
    for name in (trained.data.source, *trained.data.mix):
        published = CARDS[name].split
        if published is not None and split in HELD_OUT:
            refuse_seen(published().train, name, found.split[split], f"the {split} classes of {found.name}")


def space(experiment: Experiment) -> SearchSpace:
    """The search space."""
    return SPACES[experiment.space.kind](experiment.space.width, experiment.space.nodes)


def relaxation(experiment: Experiment, found: SearchSpace) -> Relaxation:
    """The relaxation."""
    return RELAXATIONS[experiment.relax.kind](found)


def learner(experiment: Experiment) -> MetaLearner:
    """The meta-learner."""
    return Descent(GRADIENTS[experiment.meta.gradient](experiment.inner), experiment.outer)


def strategy(experiment: Experiment, found: SearchSpace) -> Gradient:
    """How a new task is searched."""
    adapt = experiment.adapt
    inner = inner_of(experiment, adapt.steps)
    return Gradient(relaxation(experiment, found), inner, experiment.relax.temperature_end)


def inner_of(experiment: Experiment, steps: int) -> Inner:
    """The step sizes of adaptation after meta-training, for `steps` steps."""
    adapt, inner = experiment.adapt, experiment.inner
    return replace(
        inner,
        steps=steps,
        lr_weights=inner.lr_weights if adapt.lr_weights is None else adapt.lr_weights,
        lr_arch=inner.lr_arch if adapt.lr_arch is None else adapt.lr_arch,
        first_order=True,
    )
