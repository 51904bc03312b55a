"""Tasks of fewer ways than the head has rows."""

from dataclasses import replace

import torch
from torch.func import functional_call

from metanas.meta.adapt import Inner
from metanas.meta.maml import Maml
from metanas.meta.ways import narrow, widen
from metanas.objective import Classification
from metanas.params import MetaParams
from metanas.relax.softmax import Softmax
from metanas.spaces.fewshot import FewShot
from metanas.spaces.initial import initial_weights
from tasks import Batch, Episode, TaskSpec, stream

SPEC = TaskSpec(6, 2, 1, (1, 8, 8), varied=True)
SPACE = FewShot(2, 1)
NET = SPACE.supernet(SPEC)


def net(n_way: int) -> torch.nn.Module:
    return SPACE.supernet(replace(SPEC, n_way=n_way))


def start() -> MetaParams:
    return MetaParams(initial_weights(NET, stream(0, "weights")), SPACE.logits())


def episode(n_way: int) -> Episode:
    rng = stream(n_way, "images")
    support = torch.tensor([*range(n_way), 0])  # unequal shots
    query = torch.arange(n_way)
    return Episode(*(Batch(torch.rand(1, len(y), 1, 8, 8, generator=rng), y[None]) for y in (support, query)))


def test_a_narrow_start_tells_its_classes_apart_alone() -> None:
    logits = functional_call(net(3), narrow(start(), net(3)).weights, (torch.rand(4, 1, 8, 8), SPACE.logits()))
    assert logits.shape == (4, 3)
    whole = narrow(start(), NET)
    assert all(torch.equal(whole.weights[name], value) for name, value in start().weights.items())


def test_rows_that_a_task_does_not_use_get_no_gradient() -> None:
    params = start()
    maml = Maml(Inner(steps=1, lr_weights=0.1, lr_arch=0.1))
    verdict = maml(Classification(net(4), Softmax()), narrow(params, net(4)), episode(4))
    wide = widen(verdict, params).gradient
    for name, value in params.weights.items():
        assert wide.weights[name].shape == value.shape
    head = wide.weights["head.weight"]
    assert float(head[:4].abs().sum(dim=1).min()) > 0
    assert torch.equal(head[4:], torch.zeros_like(head[4:]))
    assert torch.equal(head[:4], verdict.gradient.weights["head.weight"])
