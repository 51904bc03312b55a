"""NAS-Bench-201 as a table (Dong & Yang 2020, arXiv 2001.00326): an estimator for searches, a report for afterwards.

The two are separate objects that share nothing, and each is built from columns of its own: an estimator holds
validation accuracies alone, so that no search can look at test images, whatever it does.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from metanas.estimators.compact import Column, column_names, read_columns
from metanas.estimators.estimator import Estimate
from metanas.spaces.genotype import check_genotype
from metanas.spaces.nas_bench_201 import NasBench201
from metanas.spaces.space import Genotype
from tasks.errors import DataError

DataName = Literal["cifar10", "cifar100", "imagenet16"]

Signal = Literal["12", "200", "200_seed"]
"""Epochs of training; accuracies are means over the seeds of the table, or of one seed."""

_EPOCHS = {"12": 12, "200": 200, "200_seed": 200}

_PER_EPOCH = "est_train_s_per_epoch_cifar10_half"
_EPOCH_COST = {"cifar10": 1.0, "cifar100": 2.0, "imagenet16": 151_700 / 25_000 / 4}
"""Work of a training epoch in units of 25,000 images of 32x32: 50,000 such images, or 151,700 of 16x16."""

_SPACE = NasBench201()


@dataclass(frozen=True)
class Table:
    """Validation accuracies of all architectures of NAS-Bench-201; implements `Estimator`."""

    accuracies: Column
    """In [0, 1], `[5, 5, 5, 5, 5, 5]`; a genotype is an index."""
    seconds: Column
    """Of the training run behind each accuracy, in the same shape."""
    is_timed: bool
    """Whether `seconds` are the table's own; otherwise they are estimates from the operations of the architecture."""

    def __call__(self, genotype: Genotype) -> Estimate:
        """See `Estimator`."""
        check_genotype(_SPACE, genotype)
        return Estimate(float(self.accuracies[genotype]), float(self.seconds[genotype]))


@dataclass(frozen=True)
class TableReport:
    """Test accuracies of all architectures, for what a search has chosen and never for choosing."""

    accuracies: Column
    """In [0, 1], `[5, 5, 5, 5, 5, 5]`; a genotype is an index."""

    def accuracy(self, genotype: Genotype) -> float:
        """The test accuracy of one architecture, in [0, 1]."""
        check_genotype(_SPACE, genotype)
        return float(self.accuracies[genotype])

    @property
    def best(self) -> float:
        """The highest test accuracy in the space, in [0, 1]."""
        return float(self.accuracies.max())

    def regret(self, genotype: Genotype) -> float:
        """How far the architecture stays behind `best`, in [0, 1]."""
        return self.best - self.accuracy(genotype)


def read_table(path: Path, data: DataName, signal: Signal = "12") -> Table:
    """The estimator of one data set.

    Args:
        path: a compact file, see `compact`; in a data directory it is `compact.FILE`.
        data: which images.
        signal: how long the architectures were trained; CIFAR-10's customary signal is the run of 12 epochs.

    Raises:
        DataError: the file is missing, damaged, or lacks the signal.
    """
    names = column_names(path)
    accuracy, timed = _column(path, names, data, "valid", signal), f"train_s_{data}_{_EPOCHS[signal]}"
    is_timed = timed in names
    columns = read_columns(path, [accuracy, timed if is_timed else _PER_EPOCH])
    seconds = columns[timed] if is_timed else columns[_PER_EPOCH] * _EPOCHS[signal] * _EPOCH_COST[data]
    return Table(columns[accuracy] / 100, seconds, is_timed)


def read_report(path: Path, data: DataName, signal: Signal = "200") -> TableReport:
    """The test accuracies of one data set; arguments and errors as in `read_table`."""
    name = _column(path, column_names(path), data, "test", signal)
    return TableReport(read_columns(path, [name])[name] / 100)


def _column(path: Path, names: list[str], data: str, split: str, signal: str) -> str:
    """The column's name; half-trained CIFAR-10 networks on test images have other names and are never found."""
    prefix = f"{data}_{split}_"
    if prefix + signal not in names:
        signals = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        raise DataError(
            f"{path}: expected the column {prefix}{signal}, got none; {split} signals of {data} in this file: "
            f"{', '.join(signals) or 'none'}; choose one, or make the file anew from the official archive"
        )
    return prefix + signal
