"""Images with mean 0 and deviation 1 in each channel."""

import torch
from torch import Tensor

from tasks.bank import ImageBank


class Normalise:
    """Takes the mean of each channel away and divides by its standard deviation, both over all images of a bank.

    Used as an augmentation that draws nothing; what is masked out after it has the mean colour.
    """

    def __init__(self, bank: ImageBank) -> None:
        pixels = bank.pixels[bank.rows().to(bank.pixels.device)]
        histograms = [torch.bincount(channel.flatten(), minlength=256).double() for channel in pixels.unbind(1)]
        counts = torch.stack(histograms).cpu()  # exact, in any order and on any device
        shares, values = counts / counts.sum(1, keepdim=True), torch.arange(256) / 255.0
        self.mean = shares @ values.double()
        variance = (shares * (values.double() - self.mean[:, None]).square()).sum(1)
        self.std = variance.sqrt().where(variance > 0, 1.0)  # a channel of one value becomes 0

    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """New images `[n, c, h, w]`, no longer in [0, 1]."""
        del rng
        mean, std = (part.to(images)[:, None, None] for part in (self.mean, self.std))
        return (images - mean) / std
