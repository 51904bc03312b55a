"""The compact file of NAS-Bench-201: one row an architecture, in one numpy archive of about a megabyte.

Columns:

    ops                             [n, 6] integers, the operation of each edge in the order of a genotype
    arch                            [n] architecture strings; the same as `ops`, so that a damaged row is noticed
    params_m_cifar10                millions of parameters; a function of `ops`, so that shifted rows are noticed
    {data}_valid_{signal}           validation accuracy in percent
    {data}_test_{signal}            test accuracy in percent
    train_s_{data}_{epochs}         seconds of training with validation, where they are known
    est_train_s_per_epoch_cifar10_half     otherwise: estimated seconds of an epoch on 25,000 images of CIFAR-10

with `data` one of cifar10, cifar100 and imagenet16, and `signal` one of 12 (epochs, a run of its own), 200 (epochs,
mean over seeds) and 200_seed (one seed). Other columns may be there and are left alone. CIFAR-10 is validated on half
of its training images after training on the other half, and tested after training on all of them.
"""

import io
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metanas.spaces.arch_string import write_arch
from metanas.spaces.nas_bench_201 import EDGES, PRIMITIVES
from tasks.errors import DataError

ROWS = len(PRIMITIVES) ** len(EDGES)
"""15,625 architectures."""

FILE = "nas_bench_201/nb201.npz"
"""Where the file lies in the data directory."""

KEYS = ("ops", "arch", "params_m_cifar10")
"""Columns that say which architecture a row is."""

Column = NDArray[np.float64]

DataName = Literal["cifar10", "cifar100", "imagenet16"]

Signal = Literal["12", "200", "200_seed"]
"""Epochs of training; accuracies are means over the seeds of the table, or of one seed."""

_DAMAGE = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error)
"""What numpy raises where a file is not what it was."""


def read_columns(path: Path, names: Sequence[str]) -> dict[str, Column]:
    """The columns `names`, each `[5, 5, 5, 5, 5, 5]`: a genotype is the index of its number.

    Raises:
        DataError: the file is missing or damaged, lacks a column, or a row; a number is not finite or, in an accuracy,
            not a percentage; rows are not those of their architectures.
    """
    found = _load(path, [*KEYS, *names])
    for name, column in found.items():
        shape = (ROWS, len(EDGES)) if name == "ops" else (ROWS,)
        if column.shape != shape:
            raise DataError(f"{path}: expected {_by(shape)} entries in the column {name}, got {_by(column.shape)}")
        if name not in KEYS:
            _check_numbers(path, name, column)
    places = _places(path, found)
    columns = {}
    for name in names:
        table = np.empty(ROWS)
        table[places] = found[name]
        columns[name] = table.reshape((len(PRIMITIVES),) * len(EDGES))
    return columns


def column_names(path: Path) -> list[str]:
    """All columns of the file, without reading them; raises `DataError` as `read_columns` does."""
    with _open(path) as file:
        return list(file.files)


def column_name(path: Path, names: list[str], data: str, split: str, signal: str) -> str:
    """The column of `split` ("valid" or "test") out of `names`; raises `DataError` where the file has none.

    Half-trained CIFAR-10 networks on test images stand under other names and are never found.
    """
    prefix = f"{data}_{split}_"
    if prefix + signal not in names:
        signals = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        raise DataError(
            f"{path}: expected the column {prefix}{signal}, got none; {split} signals of {data} in this file: "
            f"{', '.join(signals) or 'none'}; choose one, or make the file anew from the official archive"
        )
    return prefix + signal


def _open(path: Path) -> np.lib.npyio.NpzFile:
    try:
        # From memory: numpy leaves a damaged file open.
        opened = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
    except FileNotFoundError:
        raise DataError(
            f"expected the NAS-Bench-201 table {path}, which does not exist; make it with "
            "python -m metanas.estimators.archive NAS-Bench-201-v1_1-096897.pth OUT.npz, or set METANAS_DATA"
        ) from None
    except _DAMAGE as error:
        raise _damaged(path, error) from error
    if not isinstance(opened, np.lib.npyio.NpzFile):
        raise DataError(f"{path}: expected a numpy archive (.npz) of columns, got a single array; make it anew")
    return opened


def _load(path: Path, names: Sequence[str]) -> dict[str, NDArray[np.generic]]:
    with _open(path) as file:
        missing = [name for name in names if name not in file.files]
        if missing:
            raise DataError(
                f"{path} lacks the column {missing[0]}; expected it among {', '.join(file.files) or 'none'}; choose "
                "another signal, or make the file anew from the official archive"
            )
        try:
            return {name: file[name] for name in names}
        except _DAMAGE as error:
            raise _damaged(path, error) from error


def _check_numbers(path: Path, name: str, column: NDArray[np.generic]) -> None:
    if column.dtype.kind not in "fiu":
        raise DataError(f"{path}: expected numbers in the column {name}, got {column.dtype}; make the file anew")
    values = column.astype(np.float64)
    most = 100.0 if "_valid_" in name or "_test_" in name else np.inf
    wrong = ~(np.isfinite(values) & (values >= 0) & (values <= most))
    if wrong.any():
        row = int(wrong.argmax())
        expected = "a percentage" if most == 100 else "a finite number of at least 0"
        raise DataError(f"{path}: expected {expected} in the column {name}, got {values[row]} in row {row}")


def _places(path: Path, found: dict[str, NDArray[np.generic]]) -> NDArray[np.int64]:
    """For each row the number of its genotype, after checking that the rows are what they say."""
    if found["ops"].dtype.kind not in "iu":
        raise DataError(f"{path}: expected integers in the column ops, got {found['ops'].dtype}; make the file anew")
    ops = found["ops"].astype(np.int64)
    wrong = ((ops < 0) | (ops >= len(PRIMITIVES))).any(axis=1)
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(f"{path}: expected operations 0..{len(PRIMITIVES) - 1}, got {ops[row].tolist()} in row {row}")
    for row, (genotype, text) in enumerate(zip(ops.tolist(), found["arch"].tolist(), strict=True)):
        expected = write_arch([PRIMITIVES[op] for op in genotype])
        if text != expected:
            raise DataError(
                f"{path}: the columns ops and arch differ, expected {expected} in row {row}, got {text}; the rows are "
                "out of order, make the file anew"
            )
    places: NDArray[np.int64] = ops @ (len(PRIMITIVES) ** np.arange(len(EDGES) - 1, -1, -1))
    if len(np.unique(places)) < ROWS:
        twice = int(np.bincount(places, minlength=ROWS).argmax())
        row = int(np.flatnonzero(places == twice)[1])
        raise DataError(f"{path}: expected every architecture once, got {found['arch'][row]} again in row {row}")
    # The published closed form of the number of parameters: a column that has slipped against `ops` does not fit it.
    conv1, conv3 = (ops == 2).sum(axis=1), (ops == 3).sum(axis=1)
    params = 0.073306 + 0.028 * conv1 + 0.24304 * conv3
    slipped = ~np.isclose(found["params_m_cifar10"].astype(np.float64), params, rtol=0, atol=2e-6)
    if slipped.any():
        row = int(slipped.argmax())
        raise DataError(
            f"{path}: expected {params[row]:.6f} million parameters for {found['arch'][row]} in row {row}, got "
            f"{found['params_m_cifar10'][row]}; the rows are out of order, make the file anew"
        )
    return places


def _damaged(path: Path, error: Exception) -> DataError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return DataError(f"{path} is damaged or no numpy archive ({reason}); copy it or make it anew")


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "no"
