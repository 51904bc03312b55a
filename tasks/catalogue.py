"""The catalogue: every source that a configuration can name, with its card and, where it is published, its reader."""

from pathlib import Path
from typing import Literal, Protocol

from tasks.card import Card
from tasks.dataset import Dataset
from tasks.sources import cifar_fs, fc100, folder, glyphs, omniglot

SourceName = Literal["glyphs", "omniglot", "cifar_fs", "fc100", "folder"]

CARDS: dict[str, Card] = {
    "glyphs": glyphs.CARD,
    "omniglot": omniglot.CARD,
    "cifar_fs": cifar_fs.CARD,
    "fc100": fc100.CARD,
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
}
