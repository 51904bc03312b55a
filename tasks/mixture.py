"""Episodes from several data sets in one endless list: the cross-data-set family."""

import math
from collections.abc import Sequence
from itertools import permutations

import torch

from tasks.dataset import Dataset
from tasks.episode import Episode, Episodes, Stack, regroup
from tasks.errors import DataError
from tasks.split import HELD_OUT, refuse_seen
from tasks.stream import stream


def check_mixable(datasets: Sequence[Dataset]) -> None:
    """Raises `DataError` when a training class of one data set is a validation or test class of another one.

    Data sets that divide the same images in other ways, such as CIFAR-FS and FC100, would show in training what is
    judged later.
    """
    for learner, judge in permutations(datasets, 2):
        for split in HELD_OUT:
            judged = f"the {split} classes of {judge.name}"
            refuse_seen(learner.split.train, learner.name, judge.split[split], judged)


class Mixture(Episodes):
    """Each episode comes from one member, drawn at random; implements `tasks.episode.Episodes`.

    Args:
        members: episodes of one shape each, and all of the same.
        seed: of the choice of members.
        weights: how often each member is drawn, positive, in any unit; None draws all equally often.

    Raises:
        DataError: no members, members of different shapes, or weights that do not fit them.
    """

    def __init__(self, members: Sequence[Episodes], seed: int, weights: Sequence[float] | None = None) -> None:
        if not members:
            raise DataError("a mixture needs at least one source of episodes, got none")
        for member in members:
            if member.spec != members[0].spec:
                raise DataError(
                    f"the members of a mixture must have one shape, got {members[0].spec} and {member.spec}; "
                    "give them one resolution and one number of channels"
                )
        if weights is not None and not (len(weights) == len(members) and all(0 < w < math.inf for w in weights)):
            raise DataError(
                f"a mixture of {len(members)} needs as many weights above 0, got {list(weights)}; None draws equally"
            )
        self.members = tuple(members)
        self.spec = members[0].spec
        self.seed = seed
        self.weights = None if weights is None else torch.tensor(weights, dtype=torch.float64)

    def member_of(self, index: int) -> int:
        """Which member episode `index` comes from."""
        rng = stream(self.seed, "mixture", index)
        if self.weights is None:
            return int(torch.randint(len(self.members), (), generator=rng))
        return int(torch.multinomial(self.weights, 1, generator=rng))

    def __getitem__(self, index: int) -> Episode:
        """Episode number `index`: the one of that number of its member."""
        return self.members[self.member_of(index)][index]

    def stacks(self, numbers: Sequence[int]) -> list[Stack]:
        """See `Episodes`; each member draws its own at once."""
        shares: list[list[int]] = [[] for _ in self.members]
        for number in numbers:
            shares[self.member_of(number)].append(number)
        drawn = [member.stacks(share) for member, share in zip(self.members, shares, strict=True) if share]
        return regroup([part for parts in drawn for part in parts])
