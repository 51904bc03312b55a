"""Any torch data set of labelled images as a few-shot data set: one class a label, all images decoded once."""

import operator
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, SupportsIndex

import torch
from torch import Tensor

from tasks.bank import ImageBank
from tasks.dataset import Dataset
from tasks.errors import DataError
from tasks.picture import to_pixels
from tasks.sources.folder import divide
from tasks.split import ClassSplit

if TYPE_CHECKING:
    from PIL.Image import Image


class LabelledImages(Protocol):
    """What is needed of a `torch.utils.data.Dataset`: a length, and a pair of image and label at each index."""

    def __len__(self) -> int:
        """How many images there are."""
        ...

    def __getitem__(self, index: int, /) -> Iterable[object]:
        """An image and its label."""
        ...


def from_torch(
    name: str, data: LabelledImages, image: tuple[int, int, int], *, split: ClassSplit | None = None, seed: int = 0
) -> Dataset:
    """The images of `data` by label; the class of label 7 is called `7`, and classes lie in the order of labels.

    Args:
        name: of the data set, for messages and results.
        data: gives (image, label) at each index. An image is a tensor `[h, w]`, `[1, h, w]` or `[3, h, w]`, uint8 or
            float in [0, 1], or a Pillow picture; a label is any integer, or a tensor of one.
        image: channels (1 or 3), height and width that every image is converted to, as `tasks.picture.to_pixels` says.
        split: the division of the classes; None divides them 64 / 16 / 20 % from the seed.
        seed: of the division, where there is no `split`.

    Raises:
        DataError: when `data` is empty, or an image or label is none of the above; the message says its index.
    """
    images: dict[int, list[Tensor]] = {}
    for i in range(len(data)):
        x, y = data[i]
        where = f"{name}: item {i}"
        images.setdefault(_label(y, where), []).append(to_pixels(_picture(x, where), image))
    bank = ImageBank.from_classes(name, {str(label): torch.stack(images[label]) for label in sorted(images)})
    return Dataset(name, bank, split or divide(bank.classes, seed))


def _label(y: object, where: str) -> int:
    if isinstance(y, SupportsIndex):
        with suppress(TypeError):  # a tensor that holds no integer
            return operator.index(y)
    raise DataError(f"{where}: expected an integer label, got {y!r}; map labels to integers")


def _picture(x: object, where: str) -> "Image":
    from PIL.Image import Image, fromarray

    if isinstance(x, Image):
        return x
    if not isinstance(x, Tensor):
        raise DataError(
            f"{where}: expected a tensor or a Pillow picture, got {type(x).__name__}; convert it in the transform"
        )
    x = x.detach().cpu()
    if x.ndim == 2:
        x = x[None]
    if x.ndim != 3 or len(x) not in (1, 3):
        raise DataError(
            f"{where}: expected an image [h, w], [1, h, w] or [3, h, w], got {list(x.shape)}; put channels first"
        )
    x = _bytes(x, where)
    return fromarray(x[0].numpy() if len(x) == 1 else x.permute(1, 2, 0).contiguous().numpy())


def _bytes(x: Tensor, where: str) -> Tensor:
    if x.dtype == torch.uint8:
        return x
    if not x.is_floating_point():
        raise DataError(f"{where}: expected uint8 or float pixels, got {x.dtype}; convert them in the transform")
    if not (x.min() >= 0 and x.max() <= 1):  # also true of NaN
        raise DataError(
            f"{where}: expected float pixels in [0, 1], got {x.min().item():.3g} to {x.max().item():.3g}; "
            "leave normalisation out of the transform"
        )
    return (x.double() * 255).round().to(torch.uint8)
