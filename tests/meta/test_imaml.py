"""Implicit gradients against closed forms, finite differences and the unrolled loop, in float64."""

import pytest
import torch
from torch import Tensor

from metanas.errors import ConfigError
from metanas.meta.adapt import Inner, adapt
from metanas.meta.conjugate_gradient import conjugate_gradient
from metanas.meta.imaml import Imaml
from metanas.meta.maml import Maml
from metanas.objective import Classification
from metanas.params import MetaParams, detach, leaves, spread
from metanas.relax.softmax import Softmax
from tasks.episode import Batch, Episode
from tasks.stream import stream

from .conftest import Small, chunks, direction, dot, slope


def positive(tasks: int, n: int) -> Tensor:
    root = torch.randn(tasks, n, n, generator=stream(0, "matrix"), dtype=torch.float64)
    return root @ root.mT + torch.eye(n, dtype=torch.float64)


class TestConjugateGradient:
    def test_solves_every_system_in_as_many_steps_as_it_has_unknowns(self) -> None:
        matrices, right = positive(3, 6), torch.randn(3, 6, generator=stream(0, "right"), dtype=torch.float64)
        found = conjugate_gradient(lambda v: (matrices @ v[..., None])[..., 0], right, torch.zeros_like(right), 6)
        torch.testing.assert_close(found, torch.linalg.solve(matrices, right), rtol=1e-9, atol=1e-11)

    def test_no_steps_return_the_guess_and_a_zero_right_side_zero(self) -> None:
        guess = torch.ones(2, 3)
        assert conjugate_gradient(lambda v: v, torch.zeros(2, 3), guess, 0) is guess
        assert not conjugate_gradient(lambda v: 2 * v, torch.zeros(2, 3), torch.zeros(2, 3), 5).any()

    def test_negative_curvature_ends_one_system_and_no_other(self) -> None:
        signs = torch.tensor([[1.0, -1.0], [1.0, 2.0]], dtype=torch.float64)
        right = torch.tensor([[0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
        found = conjugate_gradient(lambda v: signs * v, right, torch.zeros_like(right), 5)
        torch.testing.assert_close(found, torch.tensor([[0.0, 0.0], [1.0, 0.5]], dtype=torch.float64))


def test_closed_form_on_a_quadratic() -> None:
    """L_S = (p - s)' A (p - s) / 2 and L_Q = |p - q|^2 / 2.

    So p* = (A + l)^-1 (A s + l start), and the gradient is l (A + l)^-1 (p* - q).
    """
    matrix, pull = positive(1, 4)[0], 1.5
    start, support, query = torch.randn(3, 4, generator=stream(0, "points"), dtype=torch.float64)

    def loss(params: MetaParams, batch: Batch) -> Tensor:
        w = torch.cat([params.weights["w"], params.arch["a"]], -1) - batch.x
        shaped = torch.where(
            batch.y[:, :1] == 0, (w @ matrix * w).sum(-1, keepdim=True), w.square().sum(-1, keepdim=True)
        )
        return shaped.sum(-1) / 2

    y = torch.zeros(1, 4, dtype=torch.long)
    episode = Episode(Batch(support[None], y), Batch(query[None], y + 1))
    size = 1 / (torch.linalg.matrix_norm(matrix, 2).item() + pull)
    inner = Inner(400, size, size, proximal_weights=pull, proximal_arch=pull)
    verdict = Imaml(inner, 4)(loss, MetaParams({"w": start[:3]}, {"a": start[3:]}), episode)
    system = matrix + pull * torch.eye(4, dtype=torch.float64)
    end = torch.linalg.solve(system, matrix @ support + pull * start)
    expected = pull * torch.linalg.solve(system, end - query)
    torch.testing.assert_close(torch.cat(leaves(verdict.gradient)), expected, rtol=1e-7, atol=1e-9)
    assert verdict.query_loss.item() == pytest.approx((end - query).square().sum().item() / 2)


def smooth(params: MetaParams, batch: Batch) -> Tensor:
    """Cross-entropy of a two-layer network whose activation is a softmax mixture: smooth, and not convex."""
    gates = torch.softmax(params.arch["a"], -1)[..., None, None]
    hidden = batch.x @ params.weights["body"]
    mixed = gates[..., 0, :, :] * hidden.tanh() + gates[..., 1, :, :] * hidden.sin() + gates[..., 2, :, :] * hidden
    scores = torch.log_softmax(mixed @ params.weights["head.weight"], -1)
    return -scores.gather(-1, batch.y[..., None]).mean((-1, -2))


def smooth_problem() -> tuple[MetaParams, Episode]:
    rng = stream(0, "smooth")
    shapes = {"body": (4, 5), "head.weight": (5, 3), "a": (3,), "support": (1, 6, 4), "query": (1, 6, 4)}
    found = {k: torch.randn(*shape, generator=rng, dtype=torch.float64) for k, shape in shapes.items()}
    y = torch.arange(3).repeat(2)[None]
    start = MetaParams({k: found[k] for k in ("body", "head.weight")}, {"a": found["a"]})
    return start, Episode(Batch(found["support"], y), Batch(found["query"], y))


@pytest.mark.parametrize(("moves", "lr_arch"), [("all", 0.3), ("head", 0.3), ("body", 0.0)])
def test_agrees_with_finite_differences_and_with_the_unrolled_loop_at_convergence(moves: str, lr_arch: float) -> None:
    """Resting entries included: their gradient has a path through what moves."""
    start, episode = smooth_problem()
    inner = Inner(250, 0.3, lr_arch, moves=moves, proximal_weights=0.8, proximal_arch=0.5)  # type: ignore[arg-type]

    def outer_loss(start: MetaParams) -> float:
        end = adapt(smooth, detach(spread(start, 1), requires_grad=True), episode.support, inner)
        return smooth(end, episode.query).item()

    found = Imaml(inner, 60)(smooth, start, episode)
    rng = torch.Generator().manual_seed(7)
    for group in ("weights", "arch"):
        along = direction(start, group, rng)
        assert dot(found.gradient, along) == pytest.approx(slope(outer_loss, start, along), rel=1e-6, abs=1e-9)
    unrolled = Maml(inner)(smooth, start, episode)
    assert found.query_loss.item() == pytest.approx(unrolled.query_loss.item(), rel=1e-12)
    for a, b in zip(leaves(found.gradient), leaves(unrolled.gradient), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "inner",
    [
        Inner(12, 0.1, 0.0, moves="head", proximal_weights=8.0),
        # Pulled hard: where logits move far, the loop ends at a kink of the activations, which has no Hessian.
        Inner(20, 0.004, 0.004, moves="head", proximal_weights=200.0, proximal_arch=200.0),
    ],
    ids=["classifier", "classifier and logits"],
)
def test_agrees_with_the_unrolled_loop_on_the_supernet(small: Small, inner: Inner) -> None:
    loss, episode = Classification(small.net, Softmax()), chunks(small.episodes, 1)[0]
    found, unrolled = (rule(loss, small.start, episode).gradient for rule in (Imaml(inner, 20), Maml(inner)))
    for a, b in zip(leaves(found), leaves(unrolled), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def test_without_products_it_is_first_order_maml(small: Small) -> None:
    loss, inner = Classification(small.net, Softmax()), Inner(2, 0.1, 0.5, True, proximal_weights=2, proximal_arch=1)
    found, expected = (rule(loss, small.start, small.episodes) for rule in (Imaml(inner, 0), Maml(inner)))
    for a, b in zip(leaves(found.gradient), leaves(expected.gradient), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-13)


def test_a_group_that_moves_without_a_pull_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"imaml needs inner.proximal_arch above 0 where inner.lr_arch is, got 0"):
        Imaml(Inner(proximal_weights=1.0))
    Imaml(Inner(lr_arch=0.0, proximal_weights=1.0))
