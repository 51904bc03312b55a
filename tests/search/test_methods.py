"""What every method promises, and what tells them apart; a new one joins by its line in the registry."""

import math

import pytest
import torch

from metanas.objective import Classification
from metanas.optim import Adam, Sgd
from metanas.params import MetaParams, leaves
from metanas.relax.gumbel_argmax import GumbelArgmax
from metanas.relax.softmax import Softmax
from metanas.run.build_search import METHODS
from metanas.search.arch_gradient import WeightStep
from metanas.search.beta_darts import smooth_max
from metanas.search.bilevel import Bilevel
from metanas.search.collapse import signs, skip_ratios
from metanas.search.curvature import dominant_eigenvalue
from metanas.search.drnas import anchor
from metanas.search.finite_difference import FiniteDifference
from metanas.search.first_order import FirstOrder
from metanas.search.searcher import Pace, Searcher, SearchState, slope
from metanas.search.unrolled import Unrolled
from metanas.spaces.space import NEVER, CellEdge
from tasks.episode import Batch
from tasks.stream import stream


def pace(i: int = 0, *, moves_arch: bool = True, penalty: float = 0.0) -> Pace:
    return Pace(0.025, 1.0, moves_arch, penalty, stream(0, "pace", i))


def numbers(state: SearchState) -> list[torch.Tensor]:
    return [*leaves(state.params), *state.momentum.values(), *leaves(state.adam.first), *leaves(state.adam.second)]


def equal(a: SearchState, b: SearchState) -> bool:
    return all(torch.equal(x, y) for x, y in zip(numbers(a), numbers(b), strict=True))


@pytest.mark.parametrize("name", METHODS)
class TestMethod:
    @pytest.fixture
    def searcher(self, name: str, small) -> Searcher:
        return METHODS[name](small.net, small.space, Sgd(), Adam(lr_arch=3e-4, clip=0.0))  # type: ignore[index]

    def test_is_a_searcher(self, searcher: Searcher) -> None:
        assert isinstance(searcher, Searcher)

    def test_a_step_is_a_function_of_its_arguments_and_changes_none(self, searcher: Searcher, small) -> None:
        state = searcher.init(small.start)
        before = [t.clone() for t in numbers(state)]
        first, metrics = searcher.step(state, small.train, small.valid, pace())
        second, _ = searcher.step(state, small.train, small.valid, pace())
        assert equal(first, second)
        assert all(torch.equal(a, b) for a, b in zip(before, numbers(state), strict=True))
        assert metrics["search/train_loss"] > 0

    def test_steps_move_weights_and_logits(self, searcher: Searcher, small) -> None:
        """Several, since sampled operations may leave a cell without any effect in one of them."""
        state = searcher.init(small.start)
        for i in range(4):
            state, _ = searcher.step(state, small.train, small.valid, pace(i))
        assert not torch.equal(state.params.weights["head.weight"], small.start.weights["head.weight"])
        assert all(not torch.equal(a, small.start.arch[k]) for k, a in state.params.arch.items())
        assert not any(t.requires_grad for t in numbers(state))

    def test_a_warm_up_moves_weights_alone(self, searcher: Searcher, small) -> None:
        state, _ = searcher.step(searcher.init(small.start), small.train, small.valid, pace(moves_arch=False))
        assert not torch.equal(state.params.weights["head.weight"], small.start.weights["head.weight"])
        assert all(torch.equal(a, small.start.arch[k]) for k, a in state.params.arch.items())
        assert state.adam.step == 0

    def test_weights_never_see_the_validation_images_in_a_warm_up(self, searcher: Searcher, small) -> None:
        other = Batch(small.valid.x.flip(0), small.valid.y)
        found = [
            searcher.step(searcher.init(small.start), small.train, valid, pace(moves_arch=False))[0]
            for valid in (small.valid, other)
        ]
        assert equal(*found)

    def test_steps_lower_the_training_loss(self, searcher: Searcher, small) -> None:
        state, losses = searcher.init(small.start), []
        for i in range(12):
            state, metrics = searcher.step(state, small.train, small.valid, pace(i)._replace(lr_weights=0.1))
            losses.append(metrics["search/train_loss"])
        assert sum(losses[-3:]) < sum(losses[:3])


def test_snas_alone_learns_logits_from_the_training_images(small) -> None:
    other = Batch(small.valid.x.flip(0), small.valid.y)
    for name, make in METHODS.items():
        searcher = make(small.net, small.space, Sgd(), Adam(lr_arch=0.1, clip=0.0))
        found = [searcher.step(searcher.init(small.start), small.train, v, pace())[0] for v in (small.valid, other)]
        assert equal(*found) == (name == "snas")


def test_first_order_darts_is_its_equations(small) -> None:
    """The logits' step by torch's Adam, then the weights' step by torch's SGD at the new logits."""
    loss = Classification(small.net, Softmax())
    arch = {k: a.clone().requires_grad_() for k, a in small.start.arch.items()}
    weights = {k: w.clone().requires_grad_() for k, w in small.start.weights.items()}
    adam = torch.optim.Adam(arch.values(), 3e-4, betas=(0.5, 0.999), weight_decay=1e-3)
    sgd = torch.optim.SGD(weights.values(), 0.025, momentum=0.9, weight_decay=3e-4)
    searcher = Bilevel(small.net, Softmax(), FirstOrder(), Sgd(), Adam(lr_arch=3e-4, decay_arch=1e-3, clip=0.0))
    state = searcher.init(small.start)
    for i in range(3):
        adam.zero_grad()
        loss(MetaParams(weights, arch), small.valid).backward()
        adam.step()
        sgd.zero_grad()
        loss(MetaParams(weights, arch), small.train).backward()
        for w in weights.values():
            w.grad = torch.zeros_like(w) if w.grad is None else w.grad
        torch.nn.utils.clip_grad_norm_(weights.values(), 5.0)
        sgd.step()
        state, _ = searcher.step(state, small.train, small.valid, pace(i))
    for mine, theirs in zip(leaves(state.params), [*weights.values(), *arch.values()], strict=True):
        torch.testing.assert_close(mine, theirs.detach(), rtol=1e-6, atol=1e-8)


def test_the_anchor_of_drnas_is_the_divergence_from_the_uniform_dirichlet(small) -> None:
    assert float(anchor(small.space.logits())) == pytest.approx(0, abs=1e-6)
    divergence = torch.distributions.kl_divergence
    expected = [
        divergence(
            torch.distributions.Dirichlet(torch.nn.functional.elu(a) + 1), torch.distributions.Dirichlet(a * 0 + 1)
        )
        for a in small.start.arch.values()
    ]
    assert float(anchor(small.start.arch)) == pytest.approx(float(torch.cat(expected).sum()), rel=1e-9)


def test_what_an_edge_may_not_carry_is_no_part_of_the_anchor() -> None:
    logits = torch.tensor([[0.5, -0.2, 0.1]], dtype=torch.float64, requires_grad=True)
    fewer = torch.full((1, 5), NEVER, dtype=torch.float64).index_copy(1, torch.tensor([0, 2, 3]), logits)
    (expected,), (found,) = (torch.autograd.grad(anchor({"n": table}), logits) for table in (logits, fewer))
    torch.testing.assert_close(anchor({"n": fewer}), anchor({"n": logits}))
    torch.testing.assert_close(found, expected)


def test_penalties_count_a_pair_of_inputs_as_an_edge() -> None:
    """Pairs have one row of logits a node, without an axis of edges."""
    logits = {"normal": torch.tensor([[0.5, -0.2], [0.1, 0.3]]), "normal_inputs_0": torch.tensor([0.4, 0.2])}
    rows = {"all": torch.cat([table.view(-1, 2) for table in logits.values()])}
    torch.testing.assert_close(anchor(logits), anchor(rows))
    torch.testing.assert_close(smooth_max(logits), smooth_max(rows))


def test_the_penalty_of_beta_darts_pushes_down_what_leads(small) -> None:
    edges = sum(len(a) for a in small.start.arch.values())
    logits = {name: a.clone().requires_grad_() for name, a in small.start.arch.items()}
    for name, found in slope(smooth_max(logits), logits).items():
        torch.testing.assert_close(found, torch.softmax(small.start.arch[name], -1) / edges)


def test_the_penalty_takes_part_with_its_weight(small) -> None:
    searcher = METHODS["beta_darts"](small.net, small.space, Sgd(), Adam(lr_arch=0.01, decay_arch=0.0, clip=0.0))
    state = searcher.init(small.start)
    for i in range(20):
        state, _ = searcher.step(state, small.train, small.valid, pace(i, penalty=50.0))
    assert float(smooth_max(state.params.arch)) < float(smooth_max(small.start.arch)) - 0.1


def test_the_eigenvalue_is_that_of_the_whole_hessian(small) -> None:
    loss = Classification(small.net, Softmax())
    names, shapes = list(small.start.arch), [a.shape for a in small.start.arch.values()]

    def flat(vector: torch.Tensor) -> torch.Tensor:
        parts = vector.split([s.numel() for s in shapes])
        arch = {k: p.view(s) for k, p, s in zip(names, parts, shapes, strict=True)}
        return loss(MetaParams(small.start.weights, arch), small.valid)

    at = torch.cat([a.flatten() for a in small.start.arch.values()])
    hessian = torch.autograd.functional.hessian(flat, at)
    eigenvalues = torch.linalg.eigvalsh(hessian)
    expected = float(eigenvalues[eigenvalues.abs().argmax()])
    found = dominant_eigenvalue(loss, small.start, small.valid, stream(0, "v"), steps=300, tolerance=1e-9)
    assert found == pytest.approx(expected, rel=1e-3)


def test_a_loss_without_curvature_has_eigenvalue_zero(small) -> None:
    def flat(params: MetaParams, batch: Batch) -> torch.Tensor:
        del batch
        return sum(((a.sum() * 0 + 1) * a.sum() for a in params.arch.values()), torch.zeros(()))

    assert dominant_eigenvalue(flat, small.start, small.valid, stream(0, "v")) == 0


def test_the_signs_of_a_collapse_are_named() -> None:
    def cell(*ops: str) -> tuple[CellEdge, ...]:
        return tuple(CellEdge(i, 2, op) for i, op in enumerate(ops))

    ratios = skip_ratios({"normal": cell("skip_connect", "sep_conv_3x3"), "reduction": cell("none", "max_pool_3x3")})
    assert ratios == {"normal": 0.5, "reduction": 0.0}
    assert signs(ratios, []) == ["50 % of the normal cell's operations are skip connections"]
    assert len(signs(ratios, [1.0] * 5 + [math.e] * 4)) == 2
    assert signs({"normal": 0.25}, [2.0, 1.0] * 8) == []


def test_gates_that_take_nothing_give_no_gradient_and_no_curvature(small) -> None:
    nothing = {k: torch.zeros_like(a) + 50.0 * (torch.arange(a.shape[1]) == 0) for k, a in small.start.arch.items()}
    params, loss = MetaParams(small.start.weights, nothing), Classification(small.net, GumbelArgmax())
    step = WeightStep(0.1, 0.9, 0.0, {k: torch.zeros_like(w) for k, w in small.start.weights.items()})
    for gradient in (FirstOrder(), Unrolled(), FiniteDifference()):
        found = gradient(loss, params, small.train, small.valid, step)
        assert not any(g.any() for g in found.gradient.values())
    assert dominant_eigenvalue(loss, params, small.valid, stream(0, "v")) == 0
