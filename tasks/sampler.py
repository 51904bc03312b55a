"""The episode sampler: episode `i` of a bank is a pure function of (seed, i)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from tasks.bank import ImageBank
from tasks.draw import Draw
from tasks.episode import Batch, Episode, Episodes, Stack, TaskSpec
from tasks.errors import DataError, TooFewImages


class EpisodeSampler(Episodes):
    """N-way K-shot episodes over one bank; implements `tasks.episode.Episodes`.

    Classes are drawn without replacement and labelled 0 .. n_way - 1 in the order of the draw; the support and query
    images of a class are drawn together without replacement, so they are disjoint. Images come class after class.
    With `by_class` an episode shows all classes of the bank, and label k is class k of the bank in each of them: the
    same images under labels that hold outside an episode, for joint training.

    Args:
        bank: images of the classes of one split; episodes live on its device.
        spec: the shape of an episode; its image must be the bank's.
        seed: any integer; another seed is another endless list of episodes.
        by_class: labels are classes.

    Raises:
        DataError: when the bank has fewer than `n_way` classes, or more where labels are classes.
        TooFewImages: when a class has fewer than `k_shot + n_query` images.
    """

    def __init__(self, bank: ImageBank, spec: TaskSpec, seed: int, *, by_class: bool = False) -> None:
        if spec.image != bank.image:
            raise DataError(f"{bank.name}: images are {bank.image}, but the task asks for {spec.image}")
        if len(bank.classes) < spec.n_way:
            raise DataError(
                f"{bank.name}: {spec.n_way}-way episodes need {spec.n_way} classes, the split has {len(bank.classes)}; "
                "lower n_way or add classes"
            )
        if by_class and len(bank.classes) > spec.n_way:
            raise DataError(
                f"{bank.name}: where labels are classes an episode shows all {len(bank.classes)} of them, got "
                f"{spec.n_way}-way episodes; set n_way to {len(bank.classes)}"
            )
        need = spec.k_shot + spec.n_query
        counts = bank.counts
        if int(counts.min()) < need:
            i = int(counts.argmin())
            raise TooFewImages(
                f"{bank.name}: class {bank.classes[i]!r} has {int(counts[i])} images, {spec.k_shot}-shot episodes with "
                f"{spec.n_query} query images need {need}; lower k_shot or n_query, or leave the class out"
            )
        self.bank = bank
        self.spec = spec
        self.seed = seed
        self.by_class = by_class
        labels = torch.arange(spec.n_way, device=bank.pixels.device)
        # Copies: sending a tensor to another process moves it to shared memory, away from under a view.
        self._starts = bank.starts.numpy().copy()
        self._draw = Draw(seed, (bank.name, "episode"), counts.numpy().copy(), n_way=spec.n_way, images=need)
        self._labels = tuple(labels.repeat_interleave(images) for images in (spec.k_shot, spec.n_query))

    def __getitem__(self, index: int) -> Episode:
        """Episode number `index` (any integer >= 0)."""
        (found,) = self.stacks([index])
        return Episode(*(Batch(*(part[0] for part in batch)) for batch in found.episode))

    def stacks(self, numbers: Sequence[int]) -> list[Stack]:
        """See `Episodes`; all episodes at once by indexing on the device of the bank."""
        images = self.bank.floats(self._in_halves(numbers))
        return [Stack(tuple(numbers), self.spec.n_way, self._episode(images, len(numbers)))]

    def pixels(self, numbers: Sequence[int]) -> Episode:
        """The episodes of these numbers with uint8 images as in the bank, `[tasks, n, c, h, w]`."""
        images = self.bank.pixels.index_select(0, self.bank.place(self._in_halves(numbers)))
        return self._episode(images, len(numbers))

    def _in_halves(self, numbers: Sequence[int]) -> Tensor:
        """The bank rows of all support sets, then those of all query sets, `[n]`, so that one call gathers them all."""
        rows, k_shot = self.rows(numbers).numpy(), self.spec.k_shot
        return torch.from_numpy(np.concatenate([rows[:, :, :k_shot].ravel(), rows[:, :, k_shot:].ravel()]))

    def _episode(self, images: Tensor, tasks: int) -> Episode:
        """Views of the two halves of `images`, with labels."""
        cut = tasks * len(self._labels[0])
        return Episode(
            *(
                Batch(x.view(tasks, len(labels), *self.spec.image), labels.expand(tasks, -1).clone())
                for x, labels in zip((images[:cut], images[cut:]), self._labels, strict=True)
            )
        )

    def rows(self, numbers: Sequence[int]) -> Tensor:
        """Which bank rows the episodes show: `[tasks, n_way, k_shot + n_query]`, support first in each row."""
        if min(numbers, default=0) < 0:
            raise IndexError(f"episodes are numbered from 0, got {min(numbers)}")
        classes, places = self._draw(numbers)
        if self.by_class:
            order = classes.argsort(axis=1)
            classes = np.take_along_axis(classes, order, axis=1)
            places = np.take_along_axis(places, order[:, :, None], axis=1)
        return torch.from_numpy(self._starts[classes][:, :, None] + places)
