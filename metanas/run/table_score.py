"""What a found cell is worth by the table of NAS-Bench-201, looked up when the search is over.

The search has no way to the table: `metanas.search` may not import it, and the run asks for it at the end alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from metanas.config.search import SearchExperiment
from metanas.estimators.compact import FILE, ROWS, DataName
from metanas.estimators.report import TableReport, read_report
from metanas.estimators.table import Table, read_table
from metanas.spaces.nas_bench_201 import NasBench201
from metanas.spaces.space import Genotype
from tasks.data_root import find_data_root

KEY = "nas_bench_201"
"""Where the score stands in result.json."""


@dataclass(frozen=True)
class TableScore:
    """The accuracies of all architectures, by data set."""

    valid: Mapping[str, Table]
    """What may choose, e.g. among seeds."""
    test: Mapping[str, TableReport]
    """What may only be reported."""

    def __call__(self, genotype: Genotype, course: Sequence[Genotype] = ()) -> dict[str, object]:
        """The record of result.json: the architecture string, and by data set accuracies in [0, 1] and ranks.

        `course` are the architectures that the logits preferred before the search and after every epoch.

        Two baselines that need no search stand beside it: an architecture drawn at random (the expectation over all),
        and what is best on another data set, copied.
        """
        return {
            "arch": NasBench201().write(genotype),
            "architectures": ROWS,
            "data": {
                name: {
                    "accuracy_valid": self.valid[name](genotype).score,
                    "accuracy_test": report.accuracy(genotype),
                    "accuracy_course": [report.accuracy(then) for then in course],
                    "accuracy_best": report.best,
                    "accuracy_random": report.mean,
                    "accuracy_copied": {other: report.copied(its) for other, its in self.test.items() if other != name},
                    "rank": report.rank(genotype),
                }
                for name, report in self.test.items()
            },
        }


@dataclass(frozen=True)
class NoTable:
    """The answer where the data directory has no table."""

    remedy: str

    def __call__(self, genotype: Genotype, course: Sequence[Genotype] = ()) -> dict[str, object]:
        """The record of result.json: the architecture string, and one line that says how to get the rest."""
        del course
        return {"arch": NasBench201().write(genotype), "missing": self.remedy}


def table_score(experiment: SearchExperiment) -> TableScore | NoTable | None:
    """What scores a genotype; None for a space without a table. Raises `DataError` where the table is damaged."""
    if experiment.space.kind != "nas_bench_201":
        return None
    data = experiment.data
    root = find_data_root(None if data.source == "folder" else data.root)  # whose root is the pictures' own
    if root is None or not (root / FILE).is_file():
        where = f"{root or 'DIR'}/{FILE}"
        also = "" if root else " and set METANAS_DATA=DIR"
        return NoTable(
            f"for the true accuracy write the table with python -m metanas.estimators.archive "
            f"NAS-Bench-201-v1_1-096897.pth {where}{also} (docs/data.md)"
        )
    names: Sequence[DataName] = get_args(DataName)
    path = root / FILE
    return TableScore(
        {name: read_table(path, name) for name in names}, {name: read_report(path, name) for name in names}
    )
