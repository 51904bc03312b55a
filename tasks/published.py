"""Published data sets: from their files to a bank, once; afterwards from the cache."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version as version_of
from pathlib import Path

from torch import Tensor

from tasks.bank import ImageBank
from tasks.cache import cached
from tasks.card import Card
from tasks.decode import Decoder
from tasks.errors import DataError

Read = Callable[[Path, Decoder], Mapping[str, Tensor]]
"""Reads all classes below a data directory with a decoder: class name -> uint8 `[n, c, h, w]`."""


def published(
    name: str,
    card: Card,
    read: Read,
    root: Path,
    resolution: int,
    cache: Path | None,
    *,
    version: int,
    lists: Sequence[Path] = (),
    skip_corrupt: bool = False,
) -> ImageBank:
    """All classes of a data set whose card gives one number of channels, `[card.channels[0], resolution, resolution]`.

    Args:
        name: of the data set, for files and messages.
        card: its card.
        read: reads its files.
        root: the data directory.
        resolution: height and width in pixels; smaller ones are averaged down, larger ones interpolated.
        cache: directory where the decoded images are kept; None decodes all files anew.
        version: of `read`: another one makes old caches strangers.
        lists: files that say which images belong to which class.
        skip_corrupt: leave out what cannot be read; `ImageBank.skipped` then says which files.

    Raises:
        DataError: when images are missing or damaged, or not as many as the card counts, or `cache` cannot be written.
    """
    if resolution < 1:
        least = f"{card.title} needs a resolution of at least 1 pixel"
        raise DataError(f"{least}, got {resolution}; try {card.side or 84}")
    key: dict[str, str | int] = {
        "version": version,
        "lists": " ".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in lists),
        "resolution": resolution,
        "root": str(root.resolve()),
        "skip_corrupt": skip_corrupt,
        "pillow": version_of("pillow"),
    }

    def make() -> ImageBank:
        decoder = Decoder((card.channels[0], resolution, resolution), skip_corrupt=skip_corrupt)
        bank = ImageBank.from_classes(name, read(root, decoder), tuple(decoder.skipped))
        found = len(bank.pixels) + len(bank.skipped)
        if card.count not in (None, found):
            raise DataError(
                f"expected {card.count:,} images of {card.title} below {root}, got {found:,}; "
                f"move them away and {card.origin}"
            )
        return bank

    return cached(cache, f"{name.replace('/', '-')}-{resolution}", key, make)
