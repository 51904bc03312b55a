"""Test accuracies of NAS-Bench-201, to report what a search has chosen; strategies may not import this module."""

from dataclasses import dataclass
from pathlib import Path

from metanas.estimators.compact import Column, DataName, Signal, column_name, column_names, read_columns
from metanas.spaces.genotype import check_genotype
from metanas.spaces.nas_bench_201 import NasBench201
from metanas.spaces.space import Genotype


@dataclass(frozen=True)
class TableReport:
    """Test accuracies of all architectures, for what a search has chosen and never for choosing."""

    accuracies: Column
    """In [0, 1], `[5, 5, 5, 5, 5, 5]`; a genotype is an index."""

    def accuracy(self, genotype: Genotype) -> float:
        """The test accuracy of one architecture, in [0, 1]."""
        check_genotype(NasBench201(), genotype)
        return float(self.accuracies[genotype])

    @property
    def best(self) -> float:
        """The highest test accuracy in the space, in [0, 1]."""
        return float(self.accuracies.max())

    @property
    def mean(self) -> float:
        """The expected test accuracy of an architecture drawn uniformly, in [0, 1]."""
        return float(self.accuracies.mean())

    def copied(self, other: "TableReport") -> float:
        """The test accuracy, in [0, 1], of the architecture that is best in `other`; the mean over equals."""
        return float(self.accuracies[other.accuracies == other.accuracies.max()].mean())

    def regret(self, genotype: Genotype) -> float:
        """How far the architecture stays behind `best`, in [0, 1]."""
        return self.best - self.accuracy(genotype)

    def rank(self, genotype: Genotype) -> int:
        """1 for the best architecture; one more than the number of those that are better."""
        return 1 + int((self.accuracies > self.accuracy(genotype)).sum())


def read_report(path: Path, data: DataName, signal: Signal = "200") -> TableReport:
    """The test accuracies of one data set; arguments and errors as in `table.read_table`."""
    name = column_name(path, column_names(path), data, "test", signal)
    return TableReport(read_columns(path, [name])[name] / 100)
