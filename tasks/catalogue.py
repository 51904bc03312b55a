"""The catalogue: every source that a configuration can name, with its card."""

from typing import Literal

from tasks.card import Card
from tasks.sources import cifar_fs, fc100, folder, glyphs, omniglot

SourceName = Literal["glyphs", "omniglot", "cifar_fs", "fc100", "folder"]

CARDS: dict[str, Card] = {
    "glyphs": glyphs.CARD,
    "omniglot": omniglot.CARD,
    "cifar_fs": cifar_fs.CARD,
    "fc100": fc100.CARD,
    "folder": folder.CARD,
}
