"""`metanas data fetch`: the archives of a published data set, downloaded into the data directory."""

from pathlib import Path

from metanas.errors import ConfigError
from metanas.run.interrupt import Interrupt
from metanas.track.console import Progress
from tasks.archive import Archive
from tasks.card import Card
from tasks.catalogue import CARDS
from tasks.data_root import data_root
from tasks.fetch import fetch

_MEGABYTE = 10**6
_LINE_EVERY = 10  # megabytes, away from a terminal


def fetch_source(name: str, configured: str | None, *, quiet: bool = False) -> str:
    """Downloads what is missing of the source `name`, and says in one line what was done.

    Args:
        name: a key of `tasks.catalogue.CARDS`.
        configured: the value of `data.root`.
        quiet: show no progress.

    Raises:
        ConfigError: when there is no such source, or no name is given (an empty one).
        DataError: when there is no data directory, an archive cannot be fetched, or images are missing that no archive
            holds.
        Interrupted: when a signal came; the next call continues.
    """
    card = _card(name)
    if not card.layouts:
        return f"nothing to fetch for {name}: {card.origin}"
    root = data_root(configured)
    present = card.find(root)
    for archive in card.archives:
        if archive.is_present(root):
            archive.part(root).unlink(missing_ok=True)  # of a process that was killed at its very end
        elif not present:
            _fetch(archive, root, quiet)
    if present:
        return f"nothing to fetch for {name}: present in {root}"
    card.require(root)
    return f"fetched {name}: {root}"


def _card(name: str) -> Card:
    if name not in CARDS:
        got = repr(name) if name else "no name"
        raise ConfigError(f"expected a data set, one of {', '.join(CARDS)}, got {got}; choose one of them")
    return CARDS[name]


def _fetch(archive: Archive, root: Path, quiet: bool) -> None:
    part = archive.part(root)
    before = part.stat().st_size if part.is_file() else 0
    counts = (_megabytes(archive.size), _LINE_EVERY, quiet)
    with (
        Interrupt() as interrupt,
        Progress(f"MB of {archive.name}", *counts, done=_megabytes(before)) as progress,
    ):

        def show(done: int) -> None:
            progress.update(_megabytes(done))
            interrupt.check()

        fetch(archive, root, show)
        interrupt.check()


def _megabytes(size: int) -> int:
    """Whole megabytes, rounded up, so that the last of them is there at the end and not before."""
    return -(-size // _MEGABYTE)
