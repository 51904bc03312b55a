"""A few-shot data set: one bank of images and the published division of its classes."""

from dataclasses import dataclass, replace

import torch

from tasks.bank import ImageBank
from tasks.errors import DataError
from tasks.split import ClassSplit, SplitName


@dataclass(frozen=True)
class Dataset:
    """Images of all classes, and which classes are for training, validation and test."""

    name: str
    bank: ImageBank
    split: ClassSplit

    def to(self, device: torch.device | str) -> "Dataset":
        """The same data set with its pixels on `device`, once for all splits."""
        return replace(self, bank=self.bank.to(device))

    def __getitem__(self, split: SplitName) -> ImageBank:
        """The bank of one split; raises `DataError` when the split is empty."""
        classes = self.split[split]
        if not classes:
            raise DataError(f"{self.name}: the {split} split has no classes; add some to it or use another split")
        return self.bank.subset(f"{self.name}/{split}", classes)
