"""A small real problem in float64: a supernet of the few-shot space, a start, and episodes."""

from typing import NamedTuple

import pytest
import torch
from torch import nn

from metanas.params import MetaParams
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


def chunks(episodes: Episode, size: int) -> list[Episode]:
    """Stacked episodes cut along the `tasks` axis into pieces of at most `size`; 0 keeps them together."""
    parts = [slice(*span) for span in spans(0, len(episodes.support.y), size)]
    return [Episode(*(Batch(batch.x[part], batch.y[part]) for batch in episodes)) for part in parts]
