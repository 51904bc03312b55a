"""From the configuration of a search to objects: the only reader of the registry of methods."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from metanas.config.search import MethodName, SearchExperiment
from metanas.optim import Adam, Sgd
from metanas.params import Params
from metanas.recorder import check_engine, is_recorded
from metanas.run import build
from metanas.run.images import searched_images
from metanas.search.beta_darts import beta_darts
from metanas.search.darts import darts
from metanas.search.drnas import drnas
from metanas.search.finite_difference import FiniteDifference
from metanas.search.first_order import FirstOrder
from metanas.search.gdas import gdas
from metanas.search.p_darts import faded, p_darts, restrict_skips, strongest
from metanas.search.pc_darts import pc_darts
from metanas.search.schedule import cosine, geometric, linear
from metanas.search.searcher import Pace, Searcher
from metanas.search.snas import snas
from metanas.search.stage import Stage
from metanas.search.unrolled import Unrolled
from metanas.spaces.darts import Darts
from metanas.spaces.space import Genotype, SearchSpace
from tasks.augment import Augmentation, horizontal_flip, random_crop
from tasks.bank import ImageBank
from tasks.episode import TaskSpec
from tasks.halves import halves
from tasks.shuffled import Shuffled
from tasks.stream import stream

METHODS: dict[MethodName, Callable[[nn.Module, SearchSpace, Sgd, Adam], Searcher]] = {
    "darts_first_order": partial(darts, FirstOrder()),
    "darts_second_order": partial(darts, Unrolled()),
    "darts_finite_difference": partial(darts, FiniteDifference()),
    "snas": snas,
    "gdas": gdas,
    "drnas": drnas,
    "beta_darts": beta_darts,
    "pc_darts": pc_darts,
    "p_darts": p_darts,
}


@dataclass(frozen=True)
class SearchBench:
    """A stage of a search and the objects that its configuration names."""

    experiment: SearchExperiment
    stage: Stage
    device: torch.device
    space: SearchSpace
    spec: TaskSpec
    net: nn.Module
    """The supernet's skeleton."""
    searcher: Searcher
    bank: ImageBank
    """All images of the task."""
    train: Shuffled
    """One half, for the weights."""
    valid: Shuffled
    """The other half, for the logits."""
    judged: Shuffled
    """The images of `valid` as they are, for accuracies."""

    @staticmethod
    def of(experiment: SearchExperiment, stage: Stage = Stage()) -> "SearchBench":  # noqa: B008, it is a tuple
        """Builds everything; `Stage()` is the first. Raises `ConfigError` or `DataError` for what cannot be built."""
        where = build.device(experiment)
        check_engine(experiment.search.engine, where)
        torch.set_num_threads(experiment.threads or os.cpu_count() or 1)
        space = _space(experiment, stage)
        bank = searched_images(experiment.data, experiment.images, experiment.seed)
        spec = TaskSpec(len(bank.classes), 1, 1, bank.image)
        net = space.supernet(spec)
        images, seed = experiment.images, experiment.seed
        first, second = (half.to(where) for half in halves(bank, seed))
        changes: list[Augmentation] = []
        if images.crop:
            changes.append(partial(random_crop, padding=images.crop))
        if images.flip:
            changes.append(horizontal_flip)
        return SearchBench(
            experiment,
            stage,
            where,
            space,
            spec,
            net,
            _searcher(experiment, net, space),
            bank,
            Shuffled(first, images.batch, seed, changes),
            Shuffled(second, min(images.batch, len(second)), seed, changes),
            Shuffled(second, min(images.batch, len(second)), seed),
        )

    @property
    def precision(self) -> torch.dtype:
        """Of the images of a step, which every layer takes up."""
        return build.precision(self.experiment.space)

    @property
    def steps(self) -> int:
        """Steps of the whole search."""
        return self.epochs * len(self.train)

    @property
    def epochs(self) -> int:
        """Epochs of the whole search."""
        return self.experiment.search.epochs * self.experiment.search.stages

    @property
    def end(self) -> int:
        """Steps of the search up to the end of this stage."""
        return (self.stage.number + 1) * self.experiment.search.epochs * len(self.train)

    def decode(self, arch: Params) -> Genotype:
        """The architecture that the method finds in the logits."""
        most = self.experiment.search.most_skips
        return self.space.decode(arch) if most is None else restrict_skips(self.space, arch, most)

    def next_stage(self, arch: Params) -> Stage:
        """The stage after this one, whose edges keep the operations that the logits `arch` prefer."""
        number = self.stage.number + 1
        count = self.experiment.search.stage_ops[number]
        return Stage(number, strongest(arch, self.space.primitives, count))

    def pace(self, iteration: int) -> Pace:
        """What the schedules say about step number `iteration`; they change from epoch to epoch."""
        search = self.experiment.search
        epoch = self._within(iteration // len(self.train))
        progress = epoch / search.epochs
        drop = search.stage_drop[self.stage.number] if search.stage_drop else 0.0
        return Pace(
            cosine(search.lr_weights, search.lr_weights_end, progress),
            self._temperature(epoch),
            epoch >= search.warmup,
            linear(search.penalty_start, search.penalty_end, progress),
            stream(self.experiment.seed, "gates", iteration),
            faded(drop, epoch, search.warmup),
            is_recorded(search.engine, self.device) and not drop,
        )

    def temperature(self, epoch: int) -> float:
        """The temperature in an epoch of the search, counted from 0; the last one of a stage has the end value."""
        return self._temperature(self._within(epoch))

    def _within(self, epoch: int) -> int:
        """The number of an epoch in its stage."""
        return epoch - self.stage.number * self.experiment.search.epochs

    def _temperature(self, epoch: int) -> float:
        search = self.experiment.search
        fall = geometric if search.temperature_fall == "geometric" else linear
        return fall(search.temperature_start, search.temperature_end, epoch / max(1, search.epochs - 1))


def _space(experiment: SearchExperiment, stage: Stage) -> SearchSpace:
    """The space of a stage."""
    cells = experiment.search.stage_cells
    if not cells:
        return build.space(experiment)
    return Darts(experiment.space.width, experiment.space.nodes, cells[stage.number], options=stage.kept)


def _searcher(experiment: SearchExperiment, net: nn.Module, space: SearchSpace) -> Searcher:
    search = experiment.search
    adam = Adam(
        lr_arch=search.lr_arch,
        beta1_arch=search.beta1_arch,
        beta2=search.beta2_arch,
        decay_arch=search.decay_arch,
        clip=0.0,
    )
    return METHODS[search.method](net, space, Sgd(search.momentum, search.decay_weights, search.clip), adam)
