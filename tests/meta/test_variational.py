"""The evidence bound: against finite differences, and against Bayes' rule where it has a closed form; in float64."""

import pytest
import torch
from torch import Tensor

from metanas.categorical import entropy, kl_divergence
from metanas.errors import ConfigError
from metanas.meta.adapt import Inner, adapt
from metanas.meta.imaml import Imaml
from metanas.meta.maml import Maml
from metanas.meta.variational import Variational
from metanas.objective import Classification, LossFn, Mean
from metanas.params import MetaParams, detach, leaves, of_task, spread
from metanas.relax.softmax import Softmax
from tasks.episode import Batch, Episode
from tasks.stream import stream

from .conftest import Small, chunks, direction, dot, slope

SAMPLED = Softmax(sample=True)


def sampled(small: Small, seed: int = 0) -> Classification:
    """The loss under one sample of Gumbel-softmax gates."""
    return Classification(small.net, SAMPLED, 0.7, SAMPLED.draw(small.start.arch, stream(seed, "noise")))


def bound(loss: LossFn, start: MetaParams, episode: Episode, inner: Inner) -> float:
    """What the prior descends, written out."""
    prior = detach(spread(start, len(episode.support.y)), requires_grad=True)
    q = adapt(loss, prior, episode.support, inner)
    value = loss(q, episode.query)
    for kind, logits in q.arch.items():
        value = value + inner.kl_arch / episode.query.y.shape[-1] * kl_divergence(logits, prior.arch[kind]).sum(-1)
    for name, w in q.weights.items():
        value = value + inner.proximal_weights / 2 * (w - prior.weights[name]).square().flatten(1).sum(-1)
    return value.sum().item()


@pytest.mark.parametrize("steps", [1, 3])
def test_exact_gradient_agrees_with_finite_differences(small: Small, steps: int) -> None:
    loss, episode = sampled(small), chunks(small.episodes, 1)[0]
    inner = Inner(steps, 0.05, 2.0, proximal_weights=0.5, kl_arch=3.0)
    gradient = Variational(inner)(loss, small.start, episode).gradient
    rng = torch.Generator().manual_seed(5)
    for group in ("weights", "arch"):
        for _ in range(2):
            along = direction(small.start, group, rng)
            expected = slope(lambda start: bound(loss, start, episode, inner), small.start, along)
            assert dot(gradient, along) == pytest.approx(expected, rel=2e-5, abs=1e-8)


def test_the_query_loss_is_the_likelihood_alone(small: Small) -> None:
    loss, inner = sampled(small), Inner(2, 0.05, 2.0, kl_arch=3.0)
    found = Variational(inner)(loss, small.start, small.episodes)
    assert torch.equal(found.query_loss, Maml(inner)(loss, small.start, small.episodes).query_loss)


def test_without_a_prior_it_is_maml(small: Small) -> None:
    loss, inner = sampled(small), Inner(2, 0.05, 2.0)
    found, expected = (rule(inner)(loss, small.start, small.episodes).gradient for rule in (Variational, Maml))
    assert all(torch.equal(a, b) for a, b in zip(leaves(found), leaves(expected), strict=True))


def test_implicit_gradients_know_no_divergence_of_distributions() -> None:
    with pytest.raises(ConfigError, match=r"expected inner.kl_arch=0, got 1.0; take inner.proximal_arch"):
        Imaml(Inner(proximal_weights=1.0, proximal_arch=1.0, kl_arch=1.0))


PRIOR = MetaParams({}, {"cell": torch.tensor([[0.0, 1.0, -1.0], [0.5, 0.0, 0.0]], dtype=torch.float64)})
COSTS = torch.tensor([[0.2, 0.6, 0.9], [0.5, 0.1, 0.4]], dtype=torch.float64)
"""What each operation adds to the loss of an image, in nats."""


def expected_cost(params: MetaParams, batch: Batch) -> Tensor:
    """E_q[loss] where the costs of operations add up."""
    del batch
    return (torch.softmax(params.arch["cell"], -1) * COSTS).sum((-2, -1))


def fitted(images: int, steps: int = 800, kl_arch: float = 1.0) -> Tensor:
    """The posterior's logits, `[2, 3]`."""
    batch = Batch(torch.zeros(1, images, 1), torch.zeros(1, images))
    prior = detach(spread(PRIOR, 1), requires_grad=True)
    inner = Inner(steps, 0.0, 2.0, first_order=True, kl_arch=kl_arch)
    return of_task(adapt(expected_cost, prior, batch, inner), 0).arch["cell"].detach()


@pytest.mark.parametrize("images", [1, 4])
def test_the_inner_loop_ends_at_bayes_rule(images: int) -> None:
    """argmin q . c + KL(q, p) / n is q ~ p exp(-n c)."""
    expected = torch.softmax(PRIOR.arch["cell"] - images * COSTS, -1)
    torch.testing.assert_close(torch.softmax(fitted(images), -1), expected, rtol=5e-4, atol=1e-6)


def test_entropy_falls_with_evidence_and_rises_with_caution() -> None:
    entropies = [entropy(fitted(images)).mean().item() for images in (4, 16, 64)]
    assert entropies == sorted(entropies, reverse=True)
    assert entropies[-1] < 0.5 * entropies[0]
    near, far = (kl_divergence(fitted(4, kl_arch=kl), PRIOR.arch["cell"]).sum().item() for kl in (10.0, 1.0))
    assert near < 0.1 * far


def test_expected_steps_move_the_posterior_towards_a_planted_operation() -> None:
    """The loss of gates is their cost; the mean gradient over many samples prefers the cheapest operation."""

    class Planted:
        def __init__(self, seed: int) -> None:
            self.noise = SAMPLED.draw(PRIOR.arch, stream(seed, "noise"))

        def __call__(self, params: MetaParams, batch: Batch) -> Tensor:
            del batch
            return (SAMPLED(params.arch, 0.5, self.noise)["cell"] * COSTS).sum((-2, -1))

    loss = Mean([Planted(seed) for seed in range(100)])
    batch = Batch(torch.zeros(1, 5, 1), torch.zeros(1, 5))
    episode = Episode(batch, batch)
    prior = detach(spread(PRIOR, 1), requires_grad=True)
    moved = adapt(loss, prior, batch, Inner(5, 0.0, 1.0, kl_arch=1.0)).arch["cell"][0] - PRIOR.arch["cell"]
    best = COSTS.argmin(-1)
    assert torch.equal(moved.argmax(-1), best)
    assert (moved.gather(-1, best[:, None]) > 0).all()
    gradient = Variational(Inner(5, 0.0, 1.0, kl_arch=1.0))(loss, PRIOR, episode).gradient.arch["cell"]
    assert (gradient.gather(-1, best[:, None]) < 0).all()
    assert torch.equal(gradient.argmin(-1), best)
