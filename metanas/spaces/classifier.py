"""Which classifier stands at the end of a network."""

import math

from metanas.spaces.cosine import CosineHead
from metanas.spaces.head import Head, HeadName, LinearHead
from metanas.spaces.relation import RelationHead


def classifier(name: HeadName, maps: tuple[int, int, int], n_way: int, *, pool: bool = True) -> Head:
    """The head of that name for feature maps of so many channels, rows and columns.

    Args:
        name: of the head.
        maps: channels, height and width of what the network ends with.
        n_way: classes.
        pool: average each map, where a head does not need to see all of it.

    Raises:
        ConfigError: the maps are too small for this head.
    """
    if name == "relation":
        return RelationHead(maps, n_way)
    head = CosineHead if name == "cosine" else LinearHead
    return head(maps[0] if pool else math.prod(maps), n_way, pool=pool)
