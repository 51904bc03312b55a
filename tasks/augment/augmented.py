"""Episodes whose images are changed at random: episode `i` is still a pure function of (seed, i).

An augmentation is a function from images and a generator to images of the same shape; it draws anew for each image and
runs on the device of the images. Its options are bound with `functools.partial`.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from tasks.episode import Batch, Episode, Episodes
from tasks.stream import stream

Augmentation = Callable[[Tensor, torch.Generator], Tensor]
"""Float images in [0, 1], `[n, c, h, w]`, and a generator -> new images of the same shape and range."""


class Augmented(Episodes):
    """The episodes of another source with augmented images; implements `tasks.episode.Episodes`.

    Args:
        episodes: where images and labels come from.
        augmentations: applied in this order.
        seed: of the augmentations; the draws of an episode depend on it and the episode's number alone.
        query: whether query images are augmented too; the support images are the same either way.
    """

    def __init__(
        self, episodes: Episodes, augmentations: Sequence[Augmentation], seed: int, *, query: bool = False
    ) -> None:
        self.episodes = episodes
        self.spec = episodes.spec
        self.augmentations = tuple(augmentations)
        self.seed = seed
        self.query = query

    def __getitem__(self, index: int) -> Episode:
        """Episode number `index` of the source, its images augmented."""
        support, query = self.episodes[index]
        return Episode(
            self._augmented(support, "support", index),
            self._augmented(query, "query", index) if self.query else query,
        )

    def _augmented(self, batch: Batch, part: str, index: int) -> Batch:
        rng = stream(self.seed, "augmented", part, index)
        x = batch.x
        for augmentation in self.augmentations:
            x = augmentation(x, rng)
        return Batch(x, batch.y)
