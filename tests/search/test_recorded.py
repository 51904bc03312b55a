"""Search steps as recorded work: they look at no value, and a GPU replays them with the same result."""

from typing import Any

import pytest
import torch

from metanas.objective import Classification, blind
from metanas.optim import Adam, Sgd
from metanas.params import leaves
from metanas.recorder import flatten, rebuild
from metanas.relax.gumbel_argmax import GumbelArgmax
from metanas.relax.softmax import Softmax
from metanas.search.bilevel import Bilevel
from metanas.search.first_order import FirstOrder, first_order
from metanas.search.joint import Joint, both
from metanas.search.searcher import Pace, Searcher, moved

SEARCHERS = {
    "bilevel": lambda net: Bilevel(net, Softmax(), FirstOrder(), Sgd(), Adam(clip=0.0)),
    "bilevel with sampled operations": lambda net: Bilevel(net, GumbelArgmax(), FirstOrder(), Sgd(), Adam(clip=0.0)),
    "joint": lambda net: Joint(net, Softmax(sample=True), Sgd(), Adam(clip=0.0)),
}


def sent(value: Any, device: str) -> Any:
    tensors, form = flatten(value)
    return rebuild(form, [tensor.to(device) for tensor in tensors])


def test_steps_look_at_no_value(small) -> None:
    """On a device whose tensors have none."""
    away = torch.device("meta")
    start, train, valid = (sent(each, "meta") for each in (small.start, small.train, small.valid))
    loss = blind(Classification(small.net, GumbelArgmax()), away)
    assert first_order(loss, start, valid).loss.device == away
    assert both(loss, start, train)[1].device == away
    momentum = {name: torch.zeros_like(weight) for name, weight in start.weights.items()}
    rate = torch.full((), 0.1, device=away)
    assert moved(loss, start, train, Sgd(), momentum, rate).loss.device == away


@pytest.mark.gpu
@pytest.mark.parametrize("make", SEARCHERS.values(), ids=SEARCHERS)
def test_a_gpu_replays_a_search(small, make) -> None:
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    plain, recorded = (run(make(small.net), small, device, device == "cuda") for device in ("cpu", "cuda"))
    for a, b in zip(plain, recorded, strict=True):
        torch.testing.assert_close(b.cpu(), a, rtol=1e-7, atol=1e-10)


def run(searcher: Searcher, small, device: str, is_recorded: bool) -> list[torch.Tensor]:
    """Four steps, the temperature and the step size falling."""
    start, train, valid = (sent(each, device) for each in (small.start, small.train, small.valid))
    state = searcher.init(start)
    for i in range(4):
        rng = torch.Generator().manual_seed(i)
        pace = Pace(0.1 / (i + 1), 2.0 / (i + 1), True, 0.0, rng, is_recorded=is_recorded)
        state, _ = searcher.step(state, train, valid, pace)
    return leaves(state.params)
