"""What every relaxation promises; a new one joins with one line in RELAXATIONS."""

import pytest
import torch

from metanas.relax.dirichlet import Dirichlet
from metanas.relax.fixed import Fixed
from metanas.relax.gumbel_argmax import GumbelArgmax
from metanas.relax.pruned_softmax import PrunedSoftmax
from metanas.relax.relaxation import Relaxation
from metanas.relax.soft_pruning import SoftPruning
from metanas.relax.softmax import Softmax
from metanas.relax.straight_through import StraightThrough
from metanas.spaces.fewshot import FewShot
from tasks.stream import stream

SPACE = FewShot(width=2, nodes=2)
RELAXATIONS: dict[str, Relaxation] = {
    "softmax": Softmax(),
    "gumbel_softmax": Softmax(sample=True),
    "soft_pruning": SoftPruning(0),
    "pruned_softmax": PrunedSoftmax(),
    "straight_through": StraightThrough(SPACE.harden),
    "gumbel_argmax": GumbelArgmax(),
    "dirichlet": Dirichlet(),
    "fixed": Fixed(SPACE.encode((0,) * len(SPACE.decisions))),
}
ARCH = {kind: torch.randn(table.shape, generator=stream(0, kind)) for kind, table in SPACE.logits().items()}


@pytest.mark.parametrize("relaxation", RELAXATIONS.values(), ids=RELAXATIONS)
class TestRelaxation:
    def test_is_a_relaxation(self, relaxation: Relaxation) -> None:
        assert isinstance(relaxation, Relaxation)

    @pytest.mark.parametrize("noisy", [False, True])
    def test_gates_have_the_shapes_of_the_logits_and_lie_between_zero_and_one(
        self, relaxation: Relaxation, noisy: bool
    ) -> None:
        gates = relaxation(ARCH, 0.7, relaxation.draw(ARCH, stream(0, "noise")) if noisy else {})
        assert {kind: table.shape for kind, table in gates.items()} == {kind: t.shape for kind, t in ARCH.items()}
        assert all(((table >= 0) & (table <= 1)).all() for table in gates.values())
        assert all((table.sum(-1) <= 1 + 1e-6).all() for table in gates.values())

    def test_is_a_function_of_its_arguments(self, relaxation: Relaxation) -> None:
        noise = relaxation.draw(ARCH, stream(0, "noise"))
        first, second = relaxation(ARCH, 0.7, noise), relaxation(ARCH, 0.7, noise)
        assert all(torch.equal(first[kind], second[kind]) for kind in ARCH)

    def test_zero_gates_of_a_sparse_relaxation_send_no_gradient(self, relaxation: Relaxation) -> None:
        """So that leaving their options out of the computation changes nothing."""
        if not relaxation.sparse:
            return
        arch = {kind: table.clone().requires_grad_() for kind, table in ARCH.items()}
        gates = relaxation(arch, 0.7, relaxation.draw(ARCH, stream(0, "noise")))
        total = sum((table * (table == 0)).sum() for table in gates.values())
        assert isinstance(total, torch.Tensor)
        if total.requires_grad:
            gradients = torch.autograd.grad(total, list(arch.values()), allow_unused=True)
            assert all(g is None or not g.any() for g in gradients)
