"""A small real problem in float64: a supernet of the few-shot space, a start, and episodes."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import nn

from metanas.params import MetaParams, leaves, tree_map, tree_norm
from metanas.spaces.fewshot import FewShot
from metanas.spaces.initial import initial_weights
from tasks.episode import Batch, Episode, TaskSpec, spans, stack
from tasks.stream import stream


class Small(NamedTuple):
    """What the tests of meta-gradients start from."""

    space: FewShot
    net: nn.Module
    start: MetaParams
    episodes: Episode
    """Three tasks."""


@pytest.fixture(scope="session")
def small() -> Small:
    """Two cells of two nodes, four channels, 3-way 1-shot tasks of 16x16 images."""
    space, spec = FewShot(width=4, nodes=2), TaskSpec(3, 1, 2, (1, 16, 16))
    net = space.supernet(spec)
    weights = {k: w.double() for k, w in initial_weights(net, stream(0, "weights")).items()}
    # A classifier of zeros would hide the rest of the network from the first gradient.
    weights["head.weight"] = torch.randn(3, weights["head.weight"].shape[1], generator=stream(0, "head")).double() / 4
    arch = {k: torch.randn(a.shape, generator=stream(0, k), dtype=torch.float64) / 2 for k, a in space.logits().items()}

    def batch(name: str, per_class: int) -> Batch:
        y = torch.arange(3).repeat_interleave(per_class)
        noise = torch.rand(len(y), *spec.image, generator=stream(0, name), dtype=torch.float64)
        return Batch(noise, y)

    episodes = stack([Episode(batch(f"support {i}", 1), batch(f"query {i}", 2)) for i in range(3)])
    return Small(space, net, MetaParams(weights, arch), episodes)


def direction(start: MetaParams, group: str, rng: torch.Generator) -> MetaParams:
    """A random direction of length one in which one group moves: weights, arch or rates."""
    along = tree_map(torch.zeros_like, start)
    entries = {k: torch.randn(t.shape, generator=rng, dtype=torch.float64) for k, t in getattr(start, group).items()}
    along = along._replace(**{group: entries})
    return tree_map(lambda t: t / tree_norm(along), along)


def slope(function: Callable[[MetaParams], float], start: MetaParams, along: MetaParams, step: float = 1e-6) -> float:
    """The central difference of `function` at `start` in a direction of length one."""
    ends = [function(tree_map(lambda t, a: t + sign * step * a, start, along)) for sign in (1, -1)]  # noqa: B023
    return (ends[0] - ends[1]) / (2 * step)


def dot(one: MetaParams, other: MetaParams) -> float:
    """The inner product of two trees."""
    return sum((a * b).sum().item() for a, b in zip(leaves(one), leaves(other), strict=True))


def chunks(episodes: Episode, size: int) -> list[Episode]:
    """Stacked episodes cut along the `tasks` axis into pieces of at most `size`; 0 keeps them together."""
    parts = [slice(*span) for span in spans(0, len(episodes.support.y), size)]
    return [Episode(*(Batch(batch.x[part], batch.y[part]) for batch in episodes)) for part in parts]
