"""A cell against a textbook one: module after module, edge after edge."""

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from metanas.objective import Classification
from metanas.params import MetaParams
from metanas.relax.softmax import Softmax
from metanas.spaces.cell import Cell
from metanas.spaces.edges import take
from metanas.spaces.fewshot import PRIMITIVES, FewShot
from metanas.spaces.initial import initial_weights
from tasks.episode import TaskSpec
from tasks.stream import stream

SPEC = TaskSpec(3, 1, 2, (1, 16, 16))


def textbook_cell(cell: Cell, weights: dict[str, Tensor], s0: Tensor, s1: Tensor, gates: Tensor) -> Tensor:
    """DARTS's cell as its paper writes it: equation 1 with the mixed operation of equation 2."""

    def call(path: str, x: Tensor) -> Tensor:
        module = cell.get_submodule(path)
        mine = {k.removeprefix(f"{path}."): w for k, w in weights.items() if k.startswith(f"{path}.")}
        out = functional_call(module, mine, (x,))
        assert isinstance(out, Tensor)
        return out

    states = [call("input0", s0), call("input1", s1)]
    row = 0
    for _ in range(cell.edges.nodes):
        total = torch.zeros(())
        for state in states:
            for column, op in enumerate(PRIMITIVES):
                if op != "none":
                    total = total + gates[row, column] * call(f"edges.{row}.{op}", state)
            row += 1
        states.append(total)
    return torch.cat(states[2:], dim=1)


@pytest.mark.parametrize("kind", [0, 1])
def test_equals_the_textbook_in_value_and_gradient(kind: int) -> None:
    net = FewShot(width=4, nodes=3).supernet(SPEC)
    cell = net.cells[kind]  # type: ignore[index, union-attr]
    rng = stream(0, "cell")
    weights = {k: torch.randn(p.shape, generator=rng, dtype=torch.float64) for k, p in cell.named_parameters()}
    channels = (cell.input0.conv.weight.shape[1], cell.input1.conv.weight.shape[1])
    s0, s1 = (torch.randn(4, c, 8, 8, generator=rng, dtype=torch.float64) for c in channels)
    gates = torch.softmax(torch.randn(9, 8, generator=rng, dtype=torch.float64), -1)
    leaves = [*weights.values(), gates]
    for leaf in leaves:
        leaf.requires_grad_()

    fast = functional_call(cell, weights, (s0, s1, take(gates, cell.edges.choices, sparse=False)))
    slow = textbook_cell(cell, weights, s0, s1, gates)
    torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-11)
    for a, b in zip(
        torch.autograd.grad(fast.sin().sum(), leaves), torch.autograd.grad(slow.sin().sum(), leaves), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)


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
