"""The inner loop by `higher` gives the numbers of ours, in float64."""

import sys

import pytest
import torch

from metanas.errors import ConfigError
from metanas.meta.adapt import Inner, adapt
from metanas.meta.higher_descent import check_higher
from metanas.meta.maml import Maml
from metanas.meta.reptile import Reptile
from metanas.objective import Classification
from metanas.params import detach, leaves, spread
from metanas.relax.softmax import Softmax
from metanas.relax.straight_through import StraightThrough

from .conftest import Small

pytest.importorskip("higher")


@pytest.mark.parametrize(
    ("first_order", "moves", "relaxation"),
    [(False, "all", "softmax"), (True, "all", "softmax"), (False, "head", "straight_through")],
)
def test_meta_gradients_are_equal(small: Small, first_order: bool, moves: str, relaxation: str) -> None:
    gates = Softmax() if relaxation == "softmax" else StraightThrough(small.space.harden)
    loss = Classification(small.net, gates)
    plain, higher = (
        Maml(Inner(2, 0.1, 2.0, first_order, moves, proximal_arch=0.5, engine=engine))(
            loss, small.start, small.episodes
        )  # type: ignore[arg-type]
        for engine in ("plain", "higher")
    )
    torch.testing.assert_close(higher.query_loss, plain.query_loss, rtol=1e-12, atol=0)
    for a, b in zip(leaves(higher.gradient), leaves(plain.gradient), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("engine", ["plain", "higher"])
def test_a_pass_in_which_nothing_moves_is_no_error(small: Small, engine: str) -> None:
    """In a warm-up the logits rest, and the pass that is theirs has nothing to differentiate."""
    loss = Classification(small.net, Softmax(), rest_arch=True)
    inner = Inner(2, 0.1, 2.0, True, alternate=True, engine=engine)  # type: ignore[arg-type]
    verdict = Reptile(inner)(loss, small.start, small.episodes)
    assert not any(g.any() for g in verdict.gradient.arch.values())
    assert any(g.any() for g in verdict.gradient.weights.values())


def test_the_adapted_parameters_are_equal_where_nothing_is_differentiated(small: Small) -> None:
    loss, start = Classification(small.net, Softmax()), detach(spread(small.start, 3), requires_grad=True)
    plain, higher = (
        adapt(loss, start, small.episodes.support, Inner(3, 0.1, 2.0, True, engine=engine))  # type: ignore[arg-type]
        for engine in ("plain", "higher")
    )
    for a, b in zip(leaves(higher), leaves(plain), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-13)


def test_reptile_takes_it_too(small: Small) -> None:
    loss = Classification(small.net, Softmax())
    plain, higher = (
        Reptile(Inner(2, 0.1, 2.0, engine=engine))(loss, small.start, small.episodes).gradient  # type: ignore[arg-type]
        for engine in ("plain", "higher")
    )
    for a, b in zip(leaves(higher), leaves(plain), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-13)


def test_a_missing_package_is_refused_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    check_higher()
    monkeypatch.setitem(sys.modules, "higher", None)
    with pytest.raises(ConfigError, match=r"inner.engine=higher needs the package higher.*take inner.engine=plain"):
        check_higher()
