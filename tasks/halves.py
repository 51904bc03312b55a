"""A bank in two halves that share no image: one to learn weights from, one to learn architectures from."""

import torch
from torch import Tensor

from tasks.bank import ImageBank
from tasks.errors import DataError
from tasks.stream import stream


def halves(bank: ImageBank, seed: int) -> tuple[ImageBank, ImageBank]:
    """The images of each class divided at random into two halves, the standard split of differentiable search.

    The first half gets the odd image. Within a half images keep their order. Reference: Liu et al. 2019, DARTS,
    arXiv 1806.09055, section 3.1.1, where the whole set is cut in two without regard to classes.

    Args:
        bank: the training set of a single task.
        seed: of the division.

    Raises:
        DataError: when a class has fewer than two images.
    """
    fewest = int(bank.counts.argmin())
    if int(bank.counts[fewest]) < 2:
        raise DataError(
            f"{bank.name}: class {bank.classes[fewest]!r} has {int(bank.counts[fewest])} images, two halves need at "
            "least 2; add some or leave the class out"
        )
    parts: tuple[list[Tensor], list[Tensor]] = ([], [])
    for name, start, count in zip(bank.classes, bank.starts.tolist(), bank.counts.tolist(), strict=True):
        order = torch.randperm(count, generator=stream(seed, bank.name, "halves", name))
        for part, rows in zip(parts, order.tensor_split([(count + 1) // 2]), strict=True):
            part.append(start + rows.sort().values)
    first, second = (bank.select(f"{bank.name}/{i}", part) for i, part in enumerate(parts, start=1))
    return first, second
