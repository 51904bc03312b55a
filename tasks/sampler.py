"""The episode sampler: episode `i` of a bank is a pure function of (seed, i)."""

import torch

from tasks.bank import ImageBank
from tasks.episode import Batch, Episode, TaskSpec
from tasks.errors import DataError
from tasks.stream import stream


class EpisodeSampler:
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
        self.spec = spec
        self.seed = seed

    def __getitem__(self, index: int) -> Episode:
        """Episode number `index` (any integer >= 0)."""
        if index < 0:
            raise IndexError(f"episodes are numbered from 0, got {index}")
        return self._gather(self.rows(index))

    def rows(self, index: int) -> torch.Tensor:
        """Which bank rows episode `index` shows: `[n_way, k_shot + n_query]`, support first in each row."""
        rng = stream(self.seed, self.bank.name, "episode", index)
        need = self.spec.k_shot + self.spec.n_query
        chosen = torch.randperm(len(self.bank.classes), generator=rng)[: self.spec.n_way]
        counts, starts = self.bank.counts[chosen], self.bank.starts[chosen]
        # Distinct positions in every class at once: rank random keys, with the places past a short class pushed last.
        keys = torch.rand(self.spec.n_way, int(counts.max()), generator=rng, dtype=torch.float32)
        keys.masked_fill_(torch.arange(keys.shape[1]) >= counts[:, None], 2.0)
        return starts[:, None] + keys.argsort(dim=1)[:, :need]

    def _gather(self, rows: torch.Tensor) -> Episode:
        spec, device = self.spec, self.bank.pixels.device
        x = self.bank.pixels[rows.to(device)].to(torch.get_default_dtype()) / 255
        y = torch.arange(spec.n_way, device=device)[:, None].expand(rows.shape)
        k = spec.k_shot
        return Episode(
            Batch(x[:, :k].flatten(0, 1), y[:, :k].reshape(-1)),
            Batch(x[:, k:].flatten(0, 1), y[:, k:].reshape(-1)),
        )
