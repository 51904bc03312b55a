"""Episodes that differ in ways and shots: Meta-Dataset (Triantafillou et al. 2020, arXiv 1903.03096, section 3.2)."""

import math

import torch
from torch import Tensor

from tasks.bank import ImageBank
from tasks.episode import Batch, Episode, Episodes, TaskSpec
from tasks.errors import DataError
from tasks.stream import stream


class VariedSampler(Episodes):
    """Episodes over one bank with ways and shots of their own; implements `tasks.episode.Episodes`.

    The number of classes is uniform. Every class has the same number of query images, at most half of the smallest
    class. The support set's size is drawn for the episode, then divided among its classes in proportion to their
    images, each times a random factor between 1/2 and 2: shots are unequal (Meta-Dataset, appendix A.2).

    Args:
        bank: images of the classes of one split; episodes live on its device.
        spec: with `varied`; the most ways, support and query images of a class that an episode has.
        seed: any integer; another seed is another endless list of episodes.
        least_way: the fewest classes of an episode, 2 to `spec.n_way`; Meta-Dataset has 5.
        most_support: support images of all classes together, at least `spec.n_way`; Meta-Dataset has 500.

    Raises:
        DataError: when the bank has fewer than `least_way` classes or one of less than 2 images, or the arguments do
            not fit each other.

    Deviation: classes are drawn uniformly from all, without the hierarchies of ImageNet and Omniglot.
    """

    def __init__(self, bank: ImageBank, spec: TaskSpec, seed: int, *, least_way: int = 5, most_support: int = 500):
        if spec.image != bank.image:
            raise DataError(f"{bank.name}: images are {bank.image}, but the task asks for {spec.image}")
        if not 2 <= least_way <= spec.n_way <= most_support:
            raise DataError(
                "varied episodes need 2 <= least_way <= n_way <= most_support, got "
                f"least_way={least_way}, n_way={spec.n_way}, most_support={most_support}"
            )
        if len(bank.classes) < least_way:
            raise DataError(
                f"{bank.name}: episodes of at least {least_way} ways need as many classes, the split has "
                f"{len(bank.classes)}; lower least_way or add classes"
            )
        if int(bank.counts.min()) < 2:
            i = int(bank.counts.argmin())
            raise DataError(
                f"{bank.name}: class {bank.classes[i]!r} has {int(bank.counts[i])} image, an episode needs one to "
                "learn from and one to be judged on; add images, or leave the class out"
            )
        self.bank, self.spec, self.seed = bank, spec, seed
        self.least_way, self.most_support = least_way, most_support

    def __getitem__(self, index: int) -> Episode:
        """Episode number `index` (any integer >= 0)."""
        if index < 0:
            raise IndexError(f"episodes are numbered from 0, got {index}")
        rng = stream(self.seed, self.bank.name, "varied", index)
        most_way = min(self.spec.n_way, len(self.bank.classes))
        n_way = int(torch.randint(self.least_way, most_way + 1, (), generator=rng))
        chosen = torch.randperm(len(self.bank.classes), generator=rng)[:n_way]
        counts = self.bank.counts[chosen]
        n_query = min(self.spec.n_query, int(counts.min()) // 2)
        shots = self._shots(counts, n_query, rng)
        keys = torch.rand(n_way, int(counts.max()), generator=rng, dtype=torch.float32)
        places = torch.arange(keys.shape[1])
        order = keys.masked_fill_(places >= counts[:, None], 2.0).argsort(dim=1) + self.bank.starts[chosen][:, None]
        labels = torch.arange(n_way)[:, None].expand(order.shape)
        is_support = places < shots[:, None]
        is_query = ~is_support & (places < shots[:, None] + n_query)
        return Episode(
            self._batch(order[is_support], labels[is_support]),
            self._batch(order[is_query], labels[is_query]),
        )

    def _shots(self, counts: Tensor, n_query: int, rng: torch.Generator) -> Tensor:
        """Support images of each class."""
        available = (counts - n_query).clamp(max=self.spec.k_shot)
        share = 1 - torch.rand((), generator=rng, dtype=torch.float64)  # in (0, 1]
        size = min(self.most_support, int((share * available).ceil().sum()))
        factor = math.log(0.5) + (math.log(2) - math.log(0.5)) * torch.rand(
            len(counts), generator=rng, dtype=torch.float64
        )
        ratio = factor.exp() * counts
        further = (ratio / ratio.sum() * max(0, size - len(counts))).floor().long()
        return torch.minimum(further + 1, available)

    def _batch(self, rows: Tensor, labels: Tensor) -> Batch:
        return Batch(self.bank.floats(rows), self.bank.place(labels))
