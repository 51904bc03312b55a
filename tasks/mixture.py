"""Episodes from several data sets in one endless list: the cross-data-set family."""

from collections.abc import Sequence

import torch

from tasks.episode import Episode, Episodes
from tasks.errors import DataError
from tasks.stream import stream


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
