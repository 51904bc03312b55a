"""The joint baseline against its definition, in float64."""

import pytest
import torch
from torch import Tensor, nn

from metanas.meta.joint import Joint
from metanas.objective import Classification
from metanas.params import MetaParams, leaves, spread
from metanas.relax.softmax import Softmax
from tasks.episode import Batch, Episode

from .conftest import Small, direction, dot, slope


def test_the_gradient_is_that_of_all_images_at_the_start(small: Small) -> None:
    loss = Classification(small.net, Softmax())
    images = Batch(*(torch.cat(pair, dim=1) for pair in zip(*small.episodes, strict=True)))
    verdict = Joint()(loss, small.start, small.episodes)
    rng = torch.Generator().manual_seed(5)
    for group in ("weights", "arch"):
        along = direction(small.start, group, rng)
        expected = slope(lambda start: loss(spread(start, 3), images).sum().item(), small.start, along)
        assert dot(verdict.gradient, along) == pytest.approx(expected, rel=2e-5, abs=1e-8)


def test_closed_form_on_a_quadratic() -> None:
    """The mean over images of (w - x)^2 / 2 has the slope w - mean."""

    def loss(params: MetaParams, batch: Batch) -> Tensor:
        return nn.functional.mse_loss(params.weights["w"].expand_as(batch.x), batch.x, reduction="none").mean(-1) / 2

    start = MetaParams({"w": torch.tensor([2.0], dtype=torch.float64)}, {"a": torch.zeros(2)})
    x = [torch.tensor([row], dtype=torch.float64) for row in ([0.5], [-1.0, -1.0, 0.0])]
    verdict = Joint()(loss, start, Episode(*(Batch(row, torch.zeros_like(row)) for row in x)))
    assert verdict.gradient.weights["w"].item() == pytest.approx(2 + 1.5 / 4)
    assert not any(g.any() for g in leaves(verdict.gradient._replace(weights={})))
