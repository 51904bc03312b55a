"""A supernet's cells; their values and derivatives are compared with a textbook in tests/bench."""

import torch

from metanas.objective import Classification
from metanas.params import MetaParams
from metanas.relax.softmax import Softmax
from metanas.spaces.fewshot import FewShot
from metanas.spaces.initial import initial_weights
from tasks.episode import TaskSpec
from tasks.stream import stream

SPEC = TaskSpec(3, 1, 2, (1, 16, 16))


def test_every_weight_and_every_logit_moves_the_output() -> None:
    """Norms make some directions flat, but no entry may be out of the computation."""
    space = FewShot(width=4)
    net = space.supernet(SPEC)
    initial = initial_weights(net, stream(0, "weights"))
    initial["head.weight"] = torch.randn(initial["head.weight"].shape, generator=stream(0, "head"))
    weights = {k: w.double().requires_grad_() for k, w in initial.items()}
    arch = {k: a.double().requires_grad_() for k, a in space.logits().items()}
    x = torch.rand(5, *SPEC.image, generator=stream(0, "x"), dtype=torch.float64)
    out = Classification(net, Softmax()).logits(MetaParams(weights, arch), x)
    gradients = torch.autograd.grad(out.sin().sum(), [*weights.values(), *arch.values()])
    assert all(g.abs().max() > 0 for g in gradients)
