"""Fetching: an archive on the network becomes its folder below the data directory, or a file there.

A process that is killed leaves the folder whole or missing, and perhaps a `.part` file, which the next one continues.
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tasks.archive import Archive, checksum
from tasks.download import download
from tasks.errors import DataError


def fetch(archive: Archive, root: Path, show: Callable[[int], None]) -> None:
    """Downloads `archive`, compares its checksum, and unpacks it below the data directory `root`, made when missing.

    Args:
        archive: what to fetch; nothing is done where its content is there already.
        root: the data directory.
        show: is told how many bytes are here, as they come.

    Raises:
        DataError: when the server fails, the file is not the published one, or `root` cannot be written.
    """
    part = archive.part(root)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _locked(part) as file:
            if not archive.is_present(root):
                _complete(archive, part, file, show)
                _unpack(archive, part, root)
            part.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"expected to write {archive.name} below {root}, got {error.strerror or error}; "
            "make room, or choose another directory by data.root=DIR"
        ) from error


@contextmanager
def _locked(part: Path) -> Iterator[BinaryIO]:
    """The partial file, open for appending, for this process alone; it goes when it is empty."""
    with open(part, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(f"{part} is being written by another process; wait for it or stop it") from error
        try:
            yield file
        finally:
            if part.is_file() and not part.stat().st_size:
                part.unlink()


def _complete(archive: Archive, part: Path, file: BinaryIO, show: Callable[[int], None]) -> None:
    """Downloads what the partial file lacks, nothing where an earlier process came that far."""
    if checksum(part) != archive.md5:
        download(archive.url, file, show)
        file.flush()


def _unpack(archive: Archive, part: Path, root: Path) -> None:
    try:
        archive.verify(part)
        archive.unpack(part, root)
    except DataError:
        part.unlink()  # to continue it would bring the same again
        raise
