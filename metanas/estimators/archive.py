"""From the official archive of NAS-Bench-201 to the compact file.

    python -m metanas.estimators.archive NAS-Bench-201-v1_1-096897.pth DATA/nas_bench_201/nb201.npz

The archive (Dong & Yang 2020, arXiv 2001.00326; 4.7 GB) is a pickled dictionary. It is read without running what it
says: tensors, plain containers and numpy's numbers are let in, everything else is refused.

    meta_archs          architecture strings, in the order of the table
    arch2infos          index -> {"less" or "12": runs of 12 epochs, "full" or "200": runs of 200 epochs}
    runs                "dataset_seed": data set -> seeds, "all_results": (data set, seed) -> one run
    one run             "epochs", "params" and "flop" (millions), "train_times": epoch -> seconds,
                        "eval_acc1es" and "eval_times": "SET@epoch" -> percent, seconds
"""

import io
import pickle
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from metanas.atomic import write_atomically
from metanas.errors import GenotypeError
from metanas.estimators.compact import ROWS
from metanas.spaces.nas_bench_201 import NasBench201
from tasks.errors import DataError

NUMPY = [
    np.core.multiarray.scalar,  # type: ignore[attr-defined]
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool")),
    OrderedDict,
    defaultdict,
]
"""What else than tensors, containers and plain numbers may stand in an archive; none of it runs code of its own."""


class Source(NamedTuple):
    """Where a column comes from: mean over the seeds, after the last epoch."""

    epochs: int
    data: str
    subset: str


SOURCES = {
    "cifar10_valid_12": Source(12, "cifar10-valid", "x-valid"),
    "cifar10_valid_200": Source(200, "cifar10-valid", "x-valid"),
    "cifar10_test_12": Source(12, "cifar10", "ori-test"),
    "cifar10_test_200": Source(200, "cifar10", "ori-test"),
    **{
        f"{ours}_{split}_{epochs}": Source(epochs, theirs, f"x-{split}")
        for ours, theirs in (("cifar100", "cifar100"), ("imagenet16", "ImageNet16-120"))
        for split in ("valid", "test")
        for epochs in (12, 200)
    },
}
"""Accuracy column -> the runs that it averages, by the names of the archive."""

_HALVES = {12: ("12", "less"), 200: ("200", "full")}
"""The two names under which the runs of a length stand."""

_COSTS = {"cifar10": "cifar10-valid", "cifar100": "cifar100", "imagenet16": "ImageNet16-120"}

Record = Mapping[Any, Any]
"""A dictionary of the archive; what it holds is checked where it is taken."""


def convert(archive: Path, out: Path) -> None:
    """Writes the compact file `out`, whole or not at all.

    Raises:
        DataError: the archive is missing, damaged, holds other things than numbers, or lacks a run.
    """
    content = io.BytesIO()
    np.savez_compressed(content, **columns(read_archive(archive), archive))
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, content.getvalue())


def read_archive(path: Path) -> Record:
    """The archive's dictionary; nothing that is in it is run."""
    try:
        with torch.serialization.safe_globals(NUMPY):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise DataError(
            f"expected the archive {path}, which does not exist; NAS-Bench-201-v1_1-096897.pth is linked from "
            "https://github.com/D-X-Y/NAS-Bench-201"
        ) from None
    except pickle.UnpicklingError as error:
        reason = next((line.strip() for line in str(error).splitlines() if "GLOBAL" in line), "not a pickle of numbers")
        raise DataError(
            f"{path} is damaged or holds more than numbers and is not read ({reason}); get the official archive"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise DataError(f"{path} is damaged or no archive ({_first_line(error)}); get it again") from error
    if not isinstance(content, Mapping):
        raise DataError(f"{path}: expected a dictionary, got {type(content).__name__}; get the official archive")
    return content


def columns(archive: Record, path: Path) -> dict[str, NDArray[np.generic]]:
    """The columns of the compact file, in the order of the archive; `path` is named where one cannot be made.

    The clock is what the authors simulate: training and validation seconds of all epochs, mean over the seeds.
    """
    archs = _take(archive, "meta_archs", str(path))
    infos = _take(archive, "arch2infos", str(path))
    if len(archs) != ROWS or len(infos) != ROWS:
        raise DataError(f"{path}: expected {ROWS} architectures, got {len(archs)} and the runs of {len(infos)}")
    space = NasBench201()
    ops = np.empty((ROWS, 6), dtype=np.int8)
    found = {name: np.empty(ROWS) for name in [*SOURCES, *_clock_names(), *_size_names()]}
    for row, arch in enumerate(archs):
        place = f"{path}: architecture {row}"
        try:
            ops[row] = space.read(arch)
        except GenotypeError as error:
            raise DataError(f"{place}: {error}") from error
        for name, source in SOURCES.items():
            found[name][row] = _mean(infos, row, source, _accuracy, place)
        for ours, theirs in _COSTS.items():
            for epochs in _HALVES:
                source = Source(epochs, theirs, "x-valid")
                found[f"train_s_{ours}_{epochs}"][row] = _mean(infos, row, source, _seconds, place)
            source = Source(200, theirs, "x-valid")
            found[f"params_m_{ours}"][row] = _mean(
                infos, row, source, lambda run, _, at: _take(run, "params", at), place
            )
            found[f"flops_m_{ours}"][row] = _mean(infos, row, source, lambda run, _, at: _take(run, "flop", at), place)
    return {"ops": ops, "arch": np.array(list(archs)), **found}


def _clock_names() -> list[str]:
    return [f"train_s_{data}_{epochs}" for data in _COSTS for epochs in _HALVES]


def _size_names() -> list[str]:
    return [f"{size}_m_{data}" for data in _COSTS for size in ("params", "flops")]


def _mean(
    infos: Record, row: int, source: Source, measure: Callable[[Record, Source, str], float], place: str
) -> float:
    """The mean of `measure` over the seeds of one architecture on one data set."""
    halves = _take(infos, row, place)
    key = next((name for name in _HALVES[source.epochs] if name in halves), _HALVES[source.epochs][-1])
    runs = _take(halves, key, place)
    place = f"{place}, {source.epochs} epochs on {source.data}"
    seeds = _take(_take(runs, "dataset_seed", place), source.data, place)
    if not seeds:
        raise DataError(f"{place}: expected at least one seed, got none; get the official archive")
    results = _take(runs, "all_results", place)
    values = [float(measure(_take(results, (source.data, seed), place), source, place)) for seed in seeds]
    return sum(values) / len(values)


def _accuracy(run: Record, source: Source, place: str) -> float:
    accuracy: float = _take(_take(run, "eval_acc1es", place), f"{source.subset}@{source.epochs - 1}", place)
    return accuracy


def _seconds(run: Record, source: Source, place: str) -> float:
    train, evaluation = _take(run, "train_times", place), _take(run, "eval_times", place)
    epochs = range(source.epochs)
    in_training = sum(_take(train, epoch, place) for epoch in epochs)
    total: float = in_training + sum(_take(evaluation, f"{source.subset}@{epoch}", place) for epoch in epochs)
    return total


def _take(record: Any, key: object, place: str) -> Any:
    if not isinstance(record, Mapping) or key not in record:
        keys = ", ".join(map(repr, list(record)[:8])) if isinstance(record, Mapping) else type(record).__name__
        raise DataError(f"{place}: expected {key!r}, got {keys or 'nothing'}; get the official archive")
    return record[key]


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def main(arguments: list[str]) -> int:
    """The command line: archive and compact file; 2 where something is wrong, said in one line."""
    if len(arguments) != 2:
        sys.stderr.write("metanas: expected ARCHIVE.pth OUT.npz\n")
        return 2
    try:
        convert(Path(arguments[0]), Path(arguments[1]))
    except (DataError, OSError) as error:
        sys.stderr.write(f"metanas: {' '.join(str(error).split())}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
