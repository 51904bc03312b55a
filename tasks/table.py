"""Images as rows of a table of bytes, which torch looks up as floats in one pass.

To gather images, to make them floats and to divide them by 255 goes over memory three times, and takes most of the time
of drawing a meta-batch. The lookup of quantised embeddings does the first two at once, for rows that end with a scale
and an offset: it gives `scale * byte + offset` as float32. A scale of 3 is exact, and times 1 / 765 rounds to what
byte / 255 rounds to, for each of the 256 bytes; a scale of 1 / 255 would not.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

_SCALE = 3
_END = torch.tensor([_SCALE, 0], dtype=torch.float32).view(torch.uint8)
"""The last bytes of a row: scale and offset."""


def tabled(parts: Sequence[Tensor]) -> Tensor:
    """A copy of all these images, uint8 `[*, c, h, w]`, in the rows of one table: `[n, c, h, w]`, not contiguous."""
    return images_in(table_with(parts), parts[0].shape[1:])


def table_with(parts: Sequence[Tensor]) -> Tensor:
    """A table `[n, bytes]` with a copy of all these images, uint8 `[*, c, h, w]`."""
    image = parts[0].shape[1:]
    table = torch.empty(sum(map(len, parts)), image.numel() + len(_END), dtype=torch.uint8, device=parts[0].device)
    torch.cat(list(parts), out=images_in(table, image))
    table[:, -len(_END) :] = _END
    return table


def images_in(table: Tensor, image: Sequence[int]) -> Tensor:
    """The images `[n, *image]` that the rows of `table` hold, in its memory."""
    _, height, width = image
    return table.as_strided((len(table), *image), (table.shape[1], height * width, width, 1))


def table_of(images: Tensor) -> Tensor | None:
    """The table `[n, bytes]` whose rows hold these images; None where they lie otherwise, or not on the CPU."""
    n, channels, height, width = images.shape
    row = channels * height * width + len(_END)
    if images.device.type != "cpu" or images.stride() != (row, height * width, width, 1):
        return None
    if images.untyped_storage().nbytes() < images.storage_offset() + n * row:
        return None
    table = images.as_strided((n, row), (row, 1))
    return table if bool((table[:, -len(_END) :] == _END).all()) else None


def look_up(table: Tensor, rows: Tensor) -> Tensor:
    """What these rows hold, as float32 in [0, 1], to the bit `byte / 255`: `[n, bytes of an image]`."""
    # The lookup sums over bags of rows; here each row is a bag.
    scaled: Tensor = torch.ops.quantized.embedding_bag_byte_rowwise_offsets(table, rows[:, None])
    return scaled.mul_(1 / (_SCALE * 255))
