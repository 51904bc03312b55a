"""Features in bfloat16: layers take up the precision of the images; weights, scores and gradients stay float32."""

import pytest
import torch
from torch import Tensor, nn

from metanas.meta.adapt import Inner
from metanas.meta.maml import Maml
from metanas.objective import Classification
from metanas.params import MetaParams, leaves
from metanas.relax.softmax import Softmax
from metanas.relax.straight_through import StraightThrough
from metanas.spaces.conv4 import Conv4
from metanas.spaces.fewshot import FewShot
from metanas.spaces.initial import initial_weights
from metanas.spaces.nas_bench_201 import NasBench201
from tasks.episode import Batch, Episode, TaskSpec
from tasks.stream import stream

SPEC = TaskSpec(3, 1, 4, (1, 32, 32))


def the_start(net: nn.Module, logits: dict[str, Tensor]) -> MetaParams:
    weights = initial_weights(net, stream(0, "weights"))
    weights["head.weight"] = torch.randn(weights["head.weight"].shape, generator=stream(0, "head")) / 4
    return MetaParams(weights, {k: torch.randn(a.shape, generator=stream(0, k)) for k, a in logits.items()})


def images(name: str, per_class: int, tasks: int = 2) -> Batch:
    y = torch.arange(3).repeat_interleave(per_class).expand(tasks, -1)
    return Batch(torch.rand(*y.shape, *SPEC.image, generator=stream(0, name)), y)


def similarity(a: MetaParams, b: MetaParams) -> float:
    first, second = (torch.cat([t.flatten() for t in leaves(tree)]) for tree in (a, b))
    return float(first @ second / (first.norm() * second.norm()))


def losses() -> dict[str, tuple[Classification, MetaParams]]:
    fewshot, bench = FewShot(4, 2), NasBench201(4, 1)
    nets = {"fewshot": fewshot.supernet(SPEC), "nas_bench_201": bench.supernet(SPEC)}
    with torch.device("meta"):
        conv4 = Conv4(SPEC, 8)
    few, staged = the_start(nets["fewshot"], fewshot.logits()), the_start(nets["nas_bench_201"], bench.logits())
    return {
        "softmax": (Classification(nets["fewshot"], Softmax()), few),
        "straight through": (Classification(nets["fewshot"], StraightThrough(fewshot.harden)), few),
        "nas_bench_201": (Classification(nets["nas_bench_201"], Softmax()), staged),
        "conv4": (Classification(conv4), the_start(conv4, {})),
    }


@pytest.mark.parametrize("name", ["softmax", "straight through", "nas_bench_201", "conv4"])
def test_logits_are_float32_and_near_those_of_float32(name: str) -> None:
    loss, start = losses()[name]
    x = images("query", 4, 1).x[0]
    exact, rough = (loss.logits(start, x.to(dtype)) for dtype in (torch.float32, torch.bfloat16))
    assert rough.dtype == torch.float32
    assert not torch.equal(rough, exact)
    assert (rough - exact).norm() < 0.05 * exact.norm()


@pytest.mark.parametrize("first_order", [True, False])
@pytest.mark.parametrize("name", ["softmax", "straight through", "nas_bench_201", "conv4"])
def test_meta_gradients_point_the_same_way(name: str, first_order: bool) -> None:
    loss, start = losses()[name]
    episodes = Episode(images("support", 2), images("query", 4))
    gradient = Maml(Inner(2, 0.1, 1.0, first_order=first_order))
    exact = gradient(loss, start, episodes).gradient
    rough = gradient(loss, start, Episode(*(batch.to(torch.bfloat16) for batch in episodes))).gradient
    assert {t.dtype for t in leaves(rough)} == {torch.float32}
    # images of noise: some maxima and signs of activations flip under rounding; a wrong term is far below
    assert similarity(rough, exact) > 0.85
