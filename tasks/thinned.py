"""A bank of fewer images: a smaller task out of a large one, for hardware that could not finish the large one."""

import torch
from torch import Tensor

from tasks.bank import ImageBank
from tasks.stream import stream


def thinned(bank: ImageBank, most: int, seed: int) -> ImageBank:
    """At most `most` images of each class, at least 1, drawn at random; they keep their order and the bank its name."""
    parts: dict[str, Tensor] = {}
    for name in bank.classes:
        images = bank.images_of(name)
        rows = torch.randperm(len(images), generator=stream(seed, bank.name, "thinned", name))[:most]
        parts[name] = images[rows.sort().values.to(images.device)]
    return ImageBank.from_classes(bank.name, parts, bank.skipped)
