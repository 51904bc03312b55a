"""NAS-Bench-201 as an estimator (Dong & Yang 2020, arXiv 2001.00326): validation accuracies and a clock.

It holds no test accuracy, and strategies may not import `report`, which does: no search can look at test images.
"""

from dataclasses import dataclass
from pathlib import Path

from metanas.estimators.compact import Column, DataName, Signal, column_name, column_names, read_columns
from metanas.estimators.estimator import Estimate
from metanas.spaces.genotype import check_genotype
from metanas.spaces.nas_bench_201 import NasBench201
from metanas.spaces.space import Genotype

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
    accuracy, timed = column_name(path, names, data, "valid", signal), f"train_s_{data}_{_EPOCHS[signal]}"
    is_timed = timed in names
    columns = read_columns(path, [accuracy, timed if is_timed else _PER_EPOCH])
    seconds = columns[timed] if is_timed else columns[_PER_EPOCH] * _EPOCHS[signal] * _EPOCH_COST[data]
    return Table(columns[accuracy] / 100, seconds, is_timed)
