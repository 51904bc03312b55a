"""The catalogue: every source that a configuration can name, with its card and, where it is published, its reader."""

from pathlib import Path
from typing import Literal, Protocol

from tasks.card import Card
from tasks.dataset import Dataset
from tasks.sources import (
    aircraft,
    cifar_fs,
    cub,
    cub_feat,
    dtd,
    fc100,
    folder,
    glyphs,
    mini_imagenet,
    omniglot,
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
    "folder": folder.CARD,
}


class Reader(Protocol):
    """Reads a published data set from the data directory `root`, or from `cache`."""

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
}
