"""Fewer images of the same classes, for budgets that do not reach for all of them."""

import torch

from tasks.bank import ImageBank
from tasks.errors import DataError
from tasks.stream import stream


def subset(bank: ImageBank, per_class: int, seed: int) -> ImageBank:
    """`per_class` images of each class, drawn at random without repetition; they keep their order, the bank its name.

    Args:
        bank: all images.
        per_class: images of each class, 1 or more.
        seed: of the draw.

    Raises:
        DataError: when a class has fewer images.
    """
    fewest = int(bank.counts.argmin())
    if not 1 <= per_class <= int(bank.counts[fewest]):
        raise DataError(
            f"{bank.name}: expected 1 to {int(bank.counts[fewest])} images a class, all that "
            f"{bank.classes[fewest]!r} has, got {per_class}; ask for fewer"
        )
    rows = [
        start + torch.randperm(count, generator=stream(seed, bank.name, "subset", name))[:per_class].sort().values
        for name, start, count in zip(bank.classes, bank.starts.tolist(), bank.counts.tolist(), strict=True)
    ]
    return bank.select(bank.name, rows)
