"""A compact file of all architectures with invented accuracies."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Columns = dict[str, np.ndarray]


@pytest.fixture
def save(tmp_path: Path, invented: Columns) -> Callable[..., Path]:
    """Writes the invented columns, some of them replaced or, with None, left out."""

    def write(**others: np.ndarray | None) -> Path:
        path = tmp_path / "nb201.npz"
        kept = {name: column for name, column in (invented | others).items() if column is not None}
        np.savez(path, **kept)
        return path

    return write
