"""MAML++'s multi-step loss: query losses of all inner steps, less and less of the earlier ones."""

from dataclasses import replace

import pytest
import torch

from metanas.config_file import load_experiment
from metanas.errors import ConfigError
from metanas.meta.adapt import Inner
from metanas.meta.batch import Executor
from metanas.meta.gradient import MetaGradient, Scheduled
from metanas.meta.maml import Maml
from metanas.meta.multi_step import MultiStep
from metanas.objective import Classification
from metanas.params import leaves
from metanas.relax.softmax import Softmax
from metanas.run import build

from .conftest import Small

INNER = Inner(steps=3, lr_weights=0.1, lr_arch=0.5)


def test_is_the_weighted_sum_of_shorter_loops(small: Small) -> None:
    loss, weights = Classification(small.net, Softmax()), (0.2, 0.3, 0.5)
    found = Maml(INNER, weights)(loss, small.start, small.episodes)
    alone = [Maml(replace(INNER, steps=m))(loss, small.start, small.episodes) for m in (1, 2, 3)]
    assert torch.equal(found.query_loss, alone[-1].query_loss)
    for i, gradient in enumerate(leaves(found.gradient)):
        expected = sum(w * leaves(each.gradient)[i] for w, each in zip(weights, alone, strict=True))
        torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-12)


def test_weights_begin_equal_and_end_with_the_last_step() -> None:
    schedule = MultiStep(INNER, share=0.1)
    assert isinstance(schedule, Scheduled)
    assert isinstance(schedule, MetaGradient)
    assert schedule.at(0.0).step_weights == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert schedule.at(0.055).step_weights == pytest.approx((0.5 / 3, 0.5 / 3, 1 - 1 / 3))
    assert schedule.at(0.0999).step_weights == pytest.approx((0.1 / 3, 0.1 / 3, 1 - 0.2 / 3))
    assert schedule.at(0.1) == Maml(INNER)
    for progress in (0.0, 0.03, 0.08):
        assert sum(schedule.at(progress).step_weights) == pytest.approx(1)


def test_an_executor_asks_for_the_gradient_of_its_progress(small: Small) -> None:
    loss, schedule = Classification(small.net, Softmax()), MultiStep(INNER, share=0.5)
    for progress in (0.0, 0.9):
        found = Executor(schedule)(loss, small.start, small.episodes, progress)
        expected = schedule.at(progress)(loss, small.start, small.episodes)
        assert all(torch.equal(a, b) for a, b in zip(leaves(found.gradient), leaves(expected.gradient), strict=True))


def test_a_configuration_asks_for_it() -> None:
    experiment = load_experiment(None, ["meta.multi_step=0.1", "inner.steps=5"])
    assert build.learner(experiment).gradient == MultiStep(experiment.inner, 0.1)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["meta.multi_step=0.1"], r"weighs inner steps: expected inner.steps of at least 2, got 1"),
        (["meta.multi_step=0.1", "meta.gradient=reptile"], "is for meta.gradient=maml, got reptile; set it to 0"),
        (["meta.multi_step=2"], "meta.multi_step must be in 0.0..1.0, got 2"),
    ],
)
def test_what_it_does_not_go_with_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_experiment(None, overrides)
