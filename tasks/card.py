"""Cards: what is known about a data set before its first image is read."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tasks.archive import Archive
from tasks.errors import DataError
from tasks.split import SPLITS, ClassSplit


@dataclass(frozen=True, kw_only=True)
class Card:
    """The facts about one data set; None where they are the user's."""

    title: str
    """Its name in its paper, for messages."""
    channels: tuple[int, ...]
    """What an image may have: 1 for grey, 3 for colours."""
    side: int | None = None
    """Height and width of the originals in pixels; None where any is as good."""
    per_class: int | None = None
    """Images of a class; None where classes differ."""
    count: int | None = None
    """Images in all, where classes differ; a copy with another number is refused."""
    split: Callable[[], ClassSplit] | None = None
    """Reads the published division of its classes."""
    shared: int | None = None
    """How many classes it has, where images are divided instead: training and test show the same classes."""
    parts: tuple[int, int] | None = None
    """Images for training and for test, where images are divided."""
    archives: tuple[Archive, ...] = ()
    """What must be downloaded; together they make one of the layouts."""
    licence: str
    """As stated by its authors."""
    layouts: tuple[tuple[str, ...], ...] = ()
    """Where images may lie below the data directory: ways to lay them out, each the folders and files that it
    needs."""
    origin: str
    """Where images come from; for what must be downloaded, what to do, as the end of a message."""

    @property
    def classes(self) -> tuple[int, ...] | None:
        """How many classes are in train, validation and test."""
        if self.split is None:
            return None
        split = self.split()
        return tuple(len(split[name]) for name in SPLITS)

    @property
    def images(self) -> int | None:
        """How many images there are."""
        if self.parts is not None:
            return sum(self.parts)
        if self.count is not None or self.classes is None or self.per_class is None:
            return self.count
        return self.per_class * sum(self.classes)

    @property
    def megabytes(self) -> int:
        """Size of the download, 10^6 bytes; 0 where there is none."""
        return round(sum(archive.size for archive in self.archives) / 10**6)

    def find(self, root: Path) -> tuple[str, ...] | None:
        """The first layout that is whole below the data directory `root`; None where none is."""
        return next((layout for layout in self.layouts if not _missing(root, layout)), None)

    def require(self, root: Path) -> tuple[str, ...]:
        """What `find` finds; raises `DataError` that says where the images belong and where to get them."""
        found = self.find(root)
        if found is None:
            places = " or ".join(_missing(root, layout)[0] for layout in self.layouts)
            raise DataError(f"expected {self.title} in {places}, got nothing there; {self.origin}")
        return found


def _missing(root: Path, layout: tuple[str, ...]) -> list[str]:
    return [str(root / place) for place in layout if not (root / place).exists()]
