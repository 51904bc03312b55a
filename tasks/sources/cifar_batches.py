"""The official batches of CIFAR-10 and CIFAR-100: pickles, opened only when their content is the published one."""

from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from tasks.labelled import require_files


class Batches(NamedTuple):
    """What torchvision reads of them."""

    pixels: Tensor
    """uint8 `[n, 3, 32, 32]`."""
    labels: Tensor
    """int64 `[n]`."""
    names: list[str]
    """Of the labels."""


def read_batches(kind: Literal["CIFAR10", "CIFAR100"], folder: Path, *, train: bool, remedy: str) -> Batches:
    """The training or the test images in `folder`, in their order.

    Raises:
        DataError: when one of the files, of either part, is missing or damaged; `remedy` ends the message.
    """
    from tasks._compat import torchvision

    reader = getattr(torchvision.datasets, kind)
    checksums = dict([*reader.train_list, *reader.test_list, (reader.meta["filename"], reader.meta["md5"])])
    require_files(folder, checksums, remedy=remedy)
    part = reader(folder.parent, train=train)
    return Batches(torch.from_numpy(part.data).permute(0, 3, 1, 2), torch.tensor(part.targets), part.classes)
