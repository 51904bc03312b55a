"""The cache of decoded banks: one checked file a bank, so that a second start takes no time.

The file is the SHA-256 of what follows, then `torch.save` bytes, since `torch.load` accepts a flipped bit.
"""

import hashlib
import io
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from tasks.bank import ImageBank
from tasks.errors import DataError

_LOG = logging.getLogger(__name__)
_DIGEST = hashlib.sha256().digest_size


def cached(folder: Path | None, name: str, key: Mapping[str, str | int], make: Callable[[], ImageBank]) -> ImageBank:
    """The bank that `make` returns, read from `folder` when it lies there already.

    Args:
        folder: the cache directory, made when missing; None makes the bank anew.
        name: begins the file's name.
        key: everything that can change the bank; another key is another file.
        make: draws or decodes the bank.

    Raises:
        DataError: when `folder` cannot be written.
    """
    if folder is None:
        return make()
    key_digest = hashlib.sha256(json.dumps(dict(key), sort_keys=True).encode()).hexdigest()[:16]
    path = folder / f"{name}-{key_digest}.bank"
    bank = _read(path)
    if bank is None:
        _check_writable(folder)  # before the work is done, not after
        bank = make()
        _write(path, bank)
    return bank


def _read(path: Path) -> ImageBank | None:
    """The bank in `path`, or None when there is none or it is damaged."""
    try:
        data = memoryview(path.read_bytes())  # a view's slice copies nothing
    except OSError:
        return None
    if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
        _LOG.warning("%s is damaged (its checksum does not fit its content); building it again", path)
        return None
    fields = torch.load(io.BytesIO(data[_DIGEST:]), weights_only=True)
    return ImageBank(fields["name"], tuple(fields["classes"]), fields["pixels"], fields["offsets"])


def _check_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unwritable(folder, PermissionError("no permission to write"))


def _write(path: Path, bank: ImageBank) -> None:
    content = io.BytesIO()
    # Plain containers: `weights_only` refuses a dataclass.
    fields = {
        "name": bank.name,
        "classes": list(bank.classes),
        "pixels": bank.pixels,
        "offsets": bank.offsets,
    }
    torch.save(fields, content)
    data = content.getvalue()
    # Every process writes its own temporary file; the last rename wins, and all of them hold the same bank.
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        temporary.write_bytes(hashlib.sha256(data).digest() + data)
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
