"""Shuffled batches of a bank: batch `i` of epoch `e` is a pure function of (seed, e, i)."""

from collections.abc import Sequence

import torch

from tasks.augment.augmented import Augmentation
from tasks.bank import ImageBank
from tasks.episode import Batch
from tasks.errors import DataError
from tasks.stream import stream


class Shuffled:
    """An endless list of passes over one bank, each in an order of its own, with random access.

    An epoch shows every image once, in as few batches of at most `size` images as there can be, all of the same length
    but for one image: no batch is small, as the statistics of norms want it. Labels are the positions of the classes.

    Args:
        bank: the images; batches live on its device.
        size: most images of a batch.
        seed: of the orders and of the augmentations.
        augmentations: applied to each batch in this order.

    Raises:
        DataError: when `size` is not in 1 .. the number of images.
    """

    def __init__(self, bank: ImageBank, size: int, seed: int, augmentations: Sequence[Augmentation] = ()) -> None:
        if not 1 <= size <= len(bank):
            raise DataError(
                f"{bank.name}: expected batches of 1 to {len(bank)} images, all that there are, got {size}; "
                "ask for smaller batches or add images"
            )
        self.bank = bank
        self.seed = seed
        self.augmentations = tuple(augmentations)
        self.images = bank.rows()
        self.labels = torch.repeat_interleave(torch.arange(len(bank.classes)), bank.counts)
        self._batches = -(-len(bank) // size)
        self._order: tuple[int, torch.Tensor] | None = None

    def __len__(self) -> int:
        """Batches of an epoch."""
        return self._batches

    def batch(self, epoch: int, index: int) -> Batch:
        """Batch number `index` of `epoch`, both counted from 0."""
        if epoch < 0 or not 0 <= index < len(self):
            raise IndexError(f"expected an epoch of 0 or more and a batch in 0..{len(self) - 1}, got {epoch}, {index}")
        rows = self.rows(epoch, index)
        x = self.bank.floats(self.images[rows])
        rng = stream(self.seed, self.bank.name, "augmented", epoch, index)
        for augmentation in self.augmentations:
            x = augmentation(x, rng)
        return Batch(x, self.bank.place(self.labels[rows]))

    def rows(self, epoch: int, index: int) -> torch.Tensor:
        """Which images of the bank a batch shows, counted class after class, `[n]`."""
        if self._order is None or self._order[0] != epoch:  # the order of the epoch at hand is kept, for speed alone
            rng = stream(self.seed, self.bank.name, "order", epoch)
            self._order = (epoch, torch.randperm(len(self.bank), generator=rng))
        return self._order[1].tensor_split(len(self))[index]
