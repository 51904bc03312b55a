"""A small real problem in float64: a supernet, a start, and two halves of a batch."""

from typing import NamedTuple

import pytest
import torch
from torch import nn

from metanas.params import MetaParams
from metanas.spaces.fewshot import FewShot
from metanas.spaces.initial import initial_weights
from tasks.episode import Batch, TaskSpec
from tasks.stream import stream


class Small(NamedTuple):
    """What the tests of searchers start from."""

    space: FewShot
    net: nn.Module
    start: MetaParams
    train: Batch
    valid: Batch


@pytest.fixture(scope="session")
def small() -> Small:
    """Two cells of one node, four channels, six images of three classes in each half."""
    space, spec = FewShot(width=4, nodes=1), TaskSpec(3, 1, 1, (1, 16, 16))
    net = space.supernet(spec)
    weights = {k: w.double() for k, w in initial_weights(net, stream(0, "weights")).items()}
    # A classifier of zeros would hide the rest of the network from the first gradient.
    weights["head.weight"] = torch.randn(3, weights["head.weight"].shape[1], generator=stream(0, "head")).double() / 4
    arch = {k: torch.randn(a.shape, generator=stream(0, k), dtype=torch.float64) / 2 for k, a in space.logits().items()}

    def batch(name: str) -> Batch:
        y = torch.arange(3).repeat_interleave(2)
        return Batch(torch.rand(6, *spec.image, generator=stream(0, name), dtype=torch.float64), y)

    return Small(space, net, MetaParams(weights, arch), batch("train"), batch("valid"))
