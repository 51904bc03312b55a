"""The episode sampler: episode `i` of a bank is a pure function of (seed, i)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tasks.bank import ImageBank
from tasks.episode import Batch, Episode, Episodes, Stack, TaskSpec, in_unit_range
from tasks.errors import DataError
from tasks.stream import streams


class EpisodeSampler(Episodes):
    """N-way K-shot episodes over one bank; implements `tasks.episode.Episodes`.

    Classes are drawn without replacement and labelled 0 .. n_way - 1 in the order of the draw; the support and query
    images of a class are drawn together without replacement, so they are disjoint. Images come class after class.

    Args:
        bank: images of the classes of one split; episodes live on its device.
        spec: the shape of an episode; its image must be the bank's.
        seed: any integer; another seed is another endless list of episodes.

    Raises:
        DataError: when the bank has fewer than `n_way` classes, or a class has fewer than `k_shot + n_query` images.
    """

    def __init__(self, bank: ImageBank, spec: TaskSpec, seed: int) -> None:
        if spec.image != bank.image:
            raise DataError(f"{bank.name}: images are {bank.image}, but the task asks for {spec.image}")
        if len(bank.classes) < spec.n_way:
            raise DataError(
                f"{bank.name}: {spec.n_way}-way episodes need {spec.n_way} classes, the split has {len(bank.classes)}; "
                "lower n_way or add classes"
            )
        need = spec.k_shot + spec.n_query
        counts = bank.counts
        if int(counts.min()) < need:
            i = int(counts.argmin())
            raise DataError(
                f"{bank.name}: class {bank.classes[i]!r} has {int(counts[i])} images, {spec.k_shot}-shot episodes with "
                f"{spec.n_query} query images need {need}; lower k_shot or n_query, or leave the class out"
            )
        self.bank = bank
        self._widest = int(bank.counts.max())
        self.spec = spec
        self.seed = seed

    def __getitem__(self, index: int) -> Episode:
        """Episode number `index` (any integer >= 0)."""
        (found,) = self.stacks([index])
        return Episode(*(Batch(*(part[0] for part in batch)) for batch in found.episode))

    def stacks(self, numbers: Sequence[int]) -> list[Stack]:
        """See `Episodes`; all episodes at once by indexing on the device of the bank."""
        return [Stack(tuple(numbers), self.spec.n_way, in_unit_range(self.pixels(numbers)))]

    def pixels(self, numbers: Sequence[int]) -> Episode:
        """The episodes of these numbers with uint8 images as in the bank, `[tasks, n, c, h, w]`."""
        spec, where = self.spec, self.bank.pixels.device
        rows = self.rows(numbers).to(where)
        labels = torch.arange(spec.n_way, device=where)

        def batch(part: Tensor) -> Batch:
            x = self.bank.pixels.index_select(0, part.flatten()).view(len(rows), -1, *spec.image)
            return Batch(x, labels.repeat_interleave(part.shape[2]).repeat(len(rows), 1))

        return Episode(batch(rows[:, :, : spec.k_shot]), batch(rows[:, :, spec.k_shot :]))

    def rows(self, numbers: Sequence[int]) -> Tensor:
        """Which bank rows the episodes show: `[tasks, n_way, k_shot + n_query]`, support first in each row."""
        if min(numbers, default=0) < 0:
            raise IndexError(f"episodes are numbered from 0, got {min(numbers)}")
        n_way, need = self.spec.n_way, self.spec.k_shot + self.spec.n_query
        orders, keys = [], []
        for rng in streams(self.seed, (self.bank.name, "episode"), numbers):
            orders.append(torch.randperm(len(self.bank.classes), generator=rng))
            keys.append(torch.rand(n_way, self._widest, generator=rng, dtype=torch.float32))
        chosen = torch.stack(orders)[:, :n_way]
        # Distinct positions in every class at once: rank random keys, with the places past a short class pushed last.
        past = torch.arange(self._widest) >= self.bank.counts[chosen][:, :, None]
        ranked = torch.stack(keys).masked_fill_(past, 2.0).topk(need, largest=False).indices
        return ranked.add_(self.bank.starts[chosen][:, :, None])
