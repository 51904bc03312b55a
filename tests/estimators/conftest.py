"""A compact file of all architectures with invented accuracies."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from metanas.estimators.compact import ROWS
from metanas.spaces.nas_bench_201 import NasBench201

Columns = dict[str, np.ndarray]


@pytest.fixture(scope="session")
def invented() -> Columns:
    """Every column, in an order that is not the order of genotypes; each accuracy is a number of its own."""
    space, rng = NasBench201(), np.random.default_rng(0)
    ops = np.array(np.unravel_index(rng.permutation(ROWS), (5,) * 6)).T.astype(np.int8)
    conv1, conv3 = (ops == 2).sum(1), (ops == 3).sum(1)
    places = np.arange(ROWS)
    columns: Columns = {
        "ops": ops,
        "arch": np.array([space.write(tuple(row)) for row in ops.tolist()]),
        "params_m_cifar10": 0.073306 + 0.028 * conv1 + 0.24304 * conv3,
        "est_train_s_per_epoch_cifar10_half": 2.0 + conv3,
    }
    for shift, data in enumerate(("cifar10", "cifar100", "imagenet16")):
        columns[f"{data}_valid_12"] = 10.0 + 60 * places / ROWS + shift
        columns[f"{data}_test_200"] = 90.0 - 60 * places / ROWS - shift
    columns["cifar100_valid_200_seed"] = columns["cifar100_valid_12"] + 20
    columns["cifar10_halftrain_test_200_mean"] = columns["cifar10_test_200"] - 3
    return columns


@pytest.fixture
def save(tmp_path: Path, invented: Columns) -> Callable[..., Path]:
    """Writes the invented columns, some of them replaced or, with None, left out."""

    def write(**others: np.ndarray | None) -> Path:
        path = tmp_path / "nb201.npz"
        kept = {name: column for name, column in (invented | others).items() if column is not None}
        np.savez(path, **kept)
        return path

    return write
