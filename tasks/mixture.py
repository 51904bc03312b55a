"""Episodes from several data sets in one endless list: the cross-data-set family."""

from collections.abc import Sequence
from itertools import permutations

import torch

from tasks.dataset import Dataset
from tasks.episode import Episode, Episodes
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


class Mixture:
    """Each episode comes from one member, drawn uniformly; implements `tasks.episode.Episodes`.

    Args:
        members: episodes of one shape each, and all of the same.
        seed: of the choice of members.

    Raises:
        DataError: no members, or members of different shapes.
    """

    def __init__(self, members: Sequence[Episodes], seed: int) -> None:
        if not members:
            raise DataError("a mixture needs at least one source of episodes, got none")
        for member in members:
            if member.spec != members[0].spec:
                raise DataError(
                    f"the members of a mixture must have one shape, got {members[0].spec} and {member.spec}; "
                    "give them one resolution and one number of channels"
                )
        self.members = tuple(members)
        self.spec = members[0].spec
        self.seed = seed

    def member_of(self, index: int) -> int:
        """Which member episode `index` comes from."""
        return int(torch.randint(len(self.members), (), generator=stream(self.seed, "mixture", index)))

    def __getitem__(self, index: int) -> Episode:
        """Episode number `index`: the one of that number of its member."""
        return self.members[self.member_of(index)][index]
