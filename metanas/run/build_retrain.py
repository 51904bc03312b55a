"""From the configuration of a training from scratch to objects."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch

from metanas.config.retrain import RetrainExperiment
from metanas.errors import ConfigError
from metanas.networks.cifar import cifar_network
from metanas.networks.drop_path import DropPath, scheduled
from metanas.networks.initial import initialise
from metanas.networks.network import DerivedNetwork
from metanas.run import build
from metanas.run.images import image_split
from metanas.search.schedule import cosine
from metanas.spaces.cell_genotype import CellGenotype
from metanas.spaces.cost import Cost, cost
from metanas.spaces.genotype_text import read_genotype
from tasks.augment import Augmentation, Normalise, cutout, horizontal_flip, random_crop
from tasks.episode import Batch, TaskSpec
from tasks.image_split import ImageSplit
from tasks.shuffled import Shuffled
from tasks.stream import stream
from tasks.subset import subset


@dataclass(frozen=True)
class RetrainBench:
    """A training from scratch and the objects that its configuration names."""

    experiment: RetrainExperiment
    device: torch.device
    cells: CellGenotype
    data: ImageSplit
    train: Shuffled
    """The training images, changed at random."""
    test: Shuffled
    """The test images as they are, for the one accuracy at the end."""
    autocast: torch.dtype | None
    """What convolutions and matrix products compute in; None leaves them in 32 bits."""

    @staticmethod
    def of(experiment: RetrainExperiment) -> "RetrainBench":
        """Builds everything; raises `ConfigError`, `GenotypeError` or `DataError` for what cannot be built."""
        where = build.device(experiment)
        torch.set_num_threads(experiment.threads or os.cpu_count() or 1)
        autocast = _autocast(experiment, where)
        cells = read_genotype(experiment.genotype)
        images, seed, data = experiment.images, experiment.seed, image_split(experiment.data)
        train = (subset(data.train, images.per_class, seed) if images.per_class else data.train).to(where)
        if images.cutout >= 2 * min(train.image[1:]):
            raise ConfigError(
                f"images.cutout must leave something of images of {train.image[1]} pixels, got {images.cutout}"
            )
        normalise = Normalise(train)
        changes: list[Augmentation] = []
        if images.crop:
            changes.append(partial(random_crop, padding=images.crop))
        if images.flip:
            changes.append(horizontal_flip)
        changes.append(normalise)
        if images.cutout:  # after normalising: the square has the mean colour, as published
            changes.append(partial(cutout, size=images.cutout))
        test = data.test.to(where)
        bench = RetrainBench(
            experiment,
            where,
            cells,
            data,
            Shuffled(train, images.batch, seed, changes),
            Shuffled(test, min(500, len(test)), seed, [normalise]),
            autocast,
        )
        bench.cost()  # refuses what cannot be built, before anything is written
        bench.skeleton(auxiliary=experiment.network.auxiliary > 0)(torch.empty(2, *train.image, device="meta"))
        return bench

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return self.experiment.retrain.epochs * len(self.train)

    def lr(self, iteration: int) -> float:
        """The step size of step number `iteration`; it changes from epoch to epoch."""
        recipe = self.experiment.retrain
        return cosine(recipe.lr, recipe.lr_end, iteration // len(self.train) / recipe.epochs)

    def drop_path(self, iteration: int) -> DropPath:
        """What drops edges in step number `iteration`."""
        progress = iteration // len(self.train) / self.experiment.retrain.epochs
        prob = scheduled(self.experiment.network.drop_path, progress)
        return DropPath(prob, stream(self.experiment.seed, "drop path", iteration))

    def network(self) -> DerivedNetwork:
        """The network with fresh weights from the seed, on the device."""
        net = self.skeleton(auxiliary=self.experiment.network.auxiliary > 0).to_empty(device="cpu")
        initialise(net, stream(self.experiment.seed, "weights"))
        return net.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def skeleton(self, *, auxiliary: bool) -> DerivedNetwork:
        """The network without memory for weights."""
        shape = self.experiment.network
        with torch.device("meta"):
            return cifar_network(
                self.cells,
                n_classes=len(self.data.train.classes),
                width=shape.width,
                depth=shape.cells,
                auxiliary=auxiliary,
            )

    def cost(self) -> Cost:
        """Parameters and multiply-accumulates for one image, the auxiliary head left out."""
        spec = TaskSpec(len(self.data.train.classes), 1, 1, self.data.train.image)
        return cost(self.skeleton(auxiliary=False).eval(), spec)

    def tested(self) -> Iterator[Batch]:
        """The test images, each once."""
        return (self.test.batch(0, i) for i in range(len(self.test)))


def _autocast(experiment: RetrainExperiment, where: torch.device) -> torch.dtype | None:
    if experiment.retrain.precision == "float32":
        return None
    if where.type != "cuda" or not torch.cuda.is_bf16_supported():
        raise ConfigError(
            f"retrain.precision=bfloat16 needs a GPU that has it, got device={where.type}; "
            "set retrain.precision=float32"
        )
    return torch.bfloat16
