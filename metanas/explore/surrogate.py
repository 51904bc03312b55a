"""A ridge regression from what a cell is made of to its score.

Features: which option was taken in every decision, and, so that something is known about a node that no cell has had
yet, how large a share every option has among the choices of a cell, wherever it stands. PNAS and Auto-Meta share the
embeddings of operations between nodes for the same end, in an LSTM; a ridge has a closed form and needs no tuning with
the few dozen scores that there are.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from metanas.explore.explorer import Trial
from metanas.explore.growth import CellChoice, Growth


class Surrogate:
    """Scores predicted from those of `trials`.

    Args:
        growth: the cells.
        trials: at least one.
        ridge: weight of the squared coefficients, above 0, in units of trials.
    """

    def __init__(self, growth: Growth, trials: Sequence[Trial], ridge: float = 1.0) -> None:
        largest = self._largest = growth.decisions(growth.sizes - 1)
        self._own = {
            key: i for i, key in enumerate((d.name, option) for d in largest for option in range(len(d.options)))
        }
        texts = dict.fromkeys(text for decision in largest for text in decision.options)
        self._shared = {text: len(self._own) + i for i, text in enumerate(texts)}
        x = self._features([trial.cell for trial in trials])
        y = torch.tensor([trial.score for trial in trials], dtype=torch.float64)
        self._x_mean, self._y_mean = x.mean(0), y.mean()
        x = x - self._x_mean
        penalty = ridge * torch.eye(x.shape[1], dtype=x.dtype)
        self._w = torch.linalg.solve(x.T @ x + penalty, x.T @ (y - self._y_mean))

    def __call__(self, cells: Sequence[CellChoice]) -> Tensor:
        """The predicted score of every cell, float64 `[cells]`."""
        predicted: Tensor = self._y_mean + (self._features(cells) - self._x_mean) @ self._w
        return predicted

    def _features(self, cells: Sequence[CellChoice]) -> Tensor:
        table = torch.zeros(len(cells), len(self._own) + len(self._shared), dtype=torch.float64)
        lengths = [len(cell) for cell in cells]
        for length in dict.fromkeys(lengths):
            rows = torch.tensor([row for row, its in enumerate(lengths) if its == length])
            choices = torch.tensor([cells[row] for row in rows.tolist()])
            for decision, chosen in zip(self._largest, choices.T, strict=False):  # a smaller cell has the first ones
                table[rows, self._own[decision.name, 0] + chosen] = 1.0
                columns = torch.tensor([self._shared[text] for text in decision.options])[chosen]
                table[rows, columns] += 1.0 / length
        return table
