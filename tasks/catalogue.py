"""The catalogue: every source that a configuration can name, with its card and, where it is published, its reader.

A source is divided by class, for episodes, or by image, for the search for a single task.
"""

from pathlib import Path
from typing import Literal, Protocol

from tasks.card import Card
from tasks.dataset import Dataset
from tasks.image_split import ImageSplit
from tasks.sources import (
    aircraft,
    cifar10,
    cifar_fs,
    cub,
    cub_feat,
    dtd,
    emnist,
    fc100,
    folder,
    glyphs,
    gtsrb,
    mini_imagenet,
    omniglot,
    svhn,
    tiered_imagenet,
    vgg_flowers,
)

SourceName = Literal[
    "glyphs",
    "omniglot",
    "cifar_fs",
    "fc100",
    "mini_imagenet",
    "tiered_imagenet",
    "cub",
    "cub_feat",
    "aircraft",
    "vgg_flowers",
    "dtd",
    "cifar10",
    "svhn",
    "emnist_balanced",
    "emnist_byclass",
    "gtsrb",
    "folder",
]

CARDS: dict[str, Card] = {
    "glyphs": glyphs.CARD,
    "omniglot": omniglot.CARD,
    "cifar_fs": cifar_fs.CARD,
    "fc100": fc100.CARD,
    "mini_imagenet": mini_imagenet.CARD,
    "tiered_imagenet": tiered_imagenet.CARD,
    "cub": cub.CARD,
    "cub_feat": cub_feat.CARD,
    "aircraft": aircraft.CARD,
    "vgg_flowers": vgg_flowers.CARD,
    "dtd": dtd.CARD,
    "cifar10": cifar10.CARD,
    "svhn": svhn.CARD,
    "emnist_balanced": emnist.BALANCED,
    "emnist_byclass": emnist.BYCLASS,
    "gtsrb": gtsrb.CARD,
    "folder": folder.CARD,
}


class Reader(Protocol):
    """Reads a published data set, divided by class, from the data directory `root`, or from `cache`."""

    def __call__(
        self, root: Path, resolution: int = ..., cache: Path | None = None, *, skip_corrupt: bool = False
    ) -> Dataset:
        """See `tasks.published.published`."""
        ...


READERS: dict[str, Reader] = {
    "omniglot": omniglot.omniglot,
    "cifar_fs": cifar_fs.cifar_fs,
    "fc100": fc100.fc100,
    "mini_imagenet": mini_imagenet.mini_imagenet,
    "tiered_imagenet": tiered_imagenet.tiered_imagenet,
    "cub": cub.cub,
    "cub_feat": cub_feat.cub_feat,
    "aircraft": aircraft.aircraft,
    "vgg_flowers": vgg_flowers.vgg_flowers,
    "dtd": dtd.dtd,
    "emnist_balanced": emnist.emnist_balanced,
    "emnist_byclass": emnist.emnist_byclass,
    "gtsrb": gtsrb.gtsrb,
}


class ImageReader(Protocol):
    """Reads a published data set, divided by image, from the data directory `root`, or from `cache`."""

    def __call__(self, root: Path, resolution: int = ..., cache: Path | None = None) -> ImageSplit:
        """See `tasks.image_split.published_parts`."""
        ...


IMAGE_READERS: dict[str, ImageReader] = {"cifar10": cifar10.cifar10, "svhn": svhn.svhn}
