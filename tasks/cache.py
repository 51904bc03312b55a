"""The cache of decoded banks: one checked file a bank, so that a second start takes no time.

The file is the SHA-256 of what follows, the length of a header, the header in JSON, and from a page boundary on the
pixels, as a table (`tasks.table`). Pixels are mapped into memory, not read: processes that use one bank share its
pages, and what is never looked at takes no room.
"""

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy
import torch
from numpy.typing import NDArray

from tasks.bank import ImageBank
from tasks.errors import DataError
from tasks.table import images_in, table_of, table_with

_LOG = logging.getLogger(__name__)
_DIGEST = hashlib.sha256().digest_size
_LENGTH = 8  # bytes of the header's length
_PAGE = 4096
_FORMAT = 3  # of the file: another one makes old files strangers


def cached(folder: Path | None, name: str, key: Mapping[str, str | int], make: Callable[[], ImageBank]) -> ImageBank:
    """The bank that `make` returns, read from `folder` when it lies there already.

    Args:
        folder: the cache directory, made when missing; None makes the bank anew.
        name: begins the file's name.
        key: everything that can change the bank; another key is another file.
        make: draws or decodes the bank; one that had to leave files out is not kept, since they may be mended.

    Raises:
        DataError: when `folder` cannot be written.
    """
    if folder is None:
        return make()
    key_digest = hashlib.sha256(json.dumps({**key, "format": _FORMAT}, sort_keys=True).encode()).hexdigest()[:16]
    path = folder / f"{name}-{key_digest}.bank"
    bank = _read(path)
    if bank is None or bank.skipped:
        _check_writable(folder)  # before the work is done, not after
        made = make()
        if made.skipped:
            return made
        _write(path, made)
        bank = _read(path)
        if bank is None:
            raise _unwritable(folder, OSError("what was written does not read back"))
    return bank


def _read(path: Path) -> ImageBank | None:
    """The bank in `path`, or None when there is none or it is damaged."""
    try:
        # Copy on write: torch wants memory that could be written, and nothing is.
        data: NDArray[numpy.uint8] = numpy.memmap(path, numpy.uint8, mode="c")
    except ValueError:  # an empty file
        data = numpy.zeros(0, numpy.uint8)
    except OSError:
        return None
    if hashlib.sha256(data[_DIGEST:].data).digest() != bytes(data[:_DIGEST]):
        _LOG.warning("%s is damaged (its checksum does not fit its content); building it again", path)
        return None
    begin = _DIGEST + _LENGTH
    end = begin + int.from_bytes(data[_DIGEST:begin], "little")
    fields = json.loads(bytes(data[begin:end]))
    n, *image = fields["shape"]
    pixels = images_in(torch.from_numpy(data[_whole_pages(end) :]).view(n, -1), image)
    starts, counts = torch.tensor(fields["starts"]), torch.tensor(fields["counts"])
    return ImageBank(fields["name"], tuple(fields["classes"]), pixels, starts, counts, tuple(fields["skipped"]))


def _whole_pages(size: int) -> int:
    return -(-size // _PAGE) * _PAGE


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unwritable(folder, PermissionError("no permission to write"))


def _write(path: Path, bank: ImageBank) -> None:
    fields = {
        "name": bank.name,
        "classes": bank.classes,
        "shape": bank.pixels.shape,
        "starts": bank.starts.tolist(),
        "counts": bank.counts.tolist(),
        "skipped": bank.skipped,
    }
    header = json.dumps(fields).encode()
    header = len(header).to_bytes(_LENGTH, "little") + header
    header = header.ljust(_whole_pages(_DIGEST + len(header)) - _DIGEST, b"\0")
    table = table_of(bank.pixels)
    pixels = (table_with([bank.pixels]) if table is None else table).numpy().data
    digest = hashlib.sha256(header)
    digest.update(pixels)
    # Every process writes its own temporary file; the last rename wins, and all of them hold the same bank.
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            for part in (digest.digest(), header, pixels):
                file.write(part)
        os.replace(temporary, path)
    except OSError as error:
        raise _unwritable(path.parent, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _unwritable(folder: Path, error: OSError) -> DataError:
    reason = error.strerror or str(error)
    return DataError(
        f"expected a cache directory that can be written, got {folder} ({reason}); set METANAS_CACHE to another one"
    )
