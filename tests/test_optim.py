"""Adam and SGD as pure functions, against torch's."""

import pytest
import torch

from metanas.errors import ConfigError
from metanas.optim import Adam, Outer, Sgd
from metanas.params import MetaParams, leaves, tree_map


def start() -> MetaParams:
    rng = torch.Generator().manual_seed(0)
    weights = {"a": torch.randn(3, 4, generator=rng), "b": torch.randn(2, generator=rng)}
    return MetaParams(
        {k: w.double() for k, w in weights.items()}, {"normal": torch.randn(4, 8, generator=rng).double()}
    )


def test_equals_torch_with_two_groups() -> None:
    adam = Adam(lr_weights=0.1, lr_arch=0.02, decay_weights=1e-4, decay_arch=1e-3, clip=0.0)
    params = start()
    state = adam.init(params)
    mine = [t.clone().requires_grad_() for t in leaves(params)]
    theirs = torch.optim.Adam(
        [
            {"params": mine[:2], "lr": 0.1, "betas": (0.9, 0.999), "weight_decay": 1e-4},
            {"params": mine[2:], "lr": 0.02, "betas": (0.5, 0.999), "weight_decay": 1e-3},
        ]
    )
    for _ in range(5):
        params, state = adam.update(tree_map(torch.sin, params), state, params)
        for p in mine:
            p.grad = p.detach().sin()
        theirs.step()
    for a, b in zip(leaves(params), mine, strict=True):
        torch.testing.assert_close(a, b.detach(), rtol=1e-10, atol=1e-12)


def test_clipping_shortens_long_gradients_and_leaves_short_ones() -> None:
    params = start()
    long, short = tree_map(lambda t: t * 1e6, params), tree_map(lambda t: t * 1e-6, params)
    clipped = Adam(lr_weights=0.1, clip=1.0)
    free = Adam(lr_weights=0.1, clip=0.0)
    for gradient, same in ((short, True), (long, False)):
        a = clipped.update(gradient, clipped.init(params), params)[1].first
        b = free.update(gradient, free.init(params), params)[1].first
        assert all(torch.equal(x, y) for x, y in zip(leaves(a), leaves(b), strict=True)) is same


def test_changes_nothing_that_it_was_given() -> None:
    params = start()
    before = [t.clone() for t in leaves(params)]
    adam = Adam()
    state = adam.init(params)
    adam.update(params, state, params)
    assert state.step == 0
    assert all(torch.equal(a, b) for a, b in zip(leaves(params), before, strict=True))
    assert not any(t.any() for t in leaves(state.first))


def test_a_rate_of_zero_freezes_its_group_alone() -> None:
    params = start()
    moved, _ = (adam := Adam(lr_arch=0.0)).update(params, adam.init(params), params)
    assert torch.equal(moved.arch["normal"], params.arch["normal"])
    assert not torch.equal(moved.weights["a"], params.weights["a"])


def test_decay_of_the_weights_moves_no_logit() -> None:
    params = start()
    adam = Adam(decay_weights=0.1, decay_arch=0.0)
    moved, _ = adam.update(tree_map(torch.zeros_like, params), adam.init(params), params)
    assert torch.equal(moved.arch["normal"], params.arch["normal"])
    assert not torch.equal(moved.weights["a"], params.weights["a"])


def test_logits_that_rest_stay_and_then_begin_as_if_nothing_had_been() -> None:
    """Their moments see no gradient and no decay; the weights go on as ever."""
    params, adam = start(), Adam(clip=0.0)
    state = adam.init(params)
    gradient = tree_map(torch.sin, params)
    rested, after = params, state
    for _ in range(7):
        rested, after = adam.update(gradient, after, rested, rest_arch=True)
    assert torch.equal(rested.arch["normal"], params.arch["normal"])
    assert not torch.equal(rested.weights["a"], params.weights["a"])
    late, fresh = adam.update(gradient, after, rested), adam.update(gradient, state, params)
    assert torch.equal(late[0].arch["normal"], fresh[0].arch["normal"])
    assert torch.equal(late[1].second.arch["normal"], fresh[1].second.arch["normal"])


def test_resting_logits_do_not_clip_the_weights() -> None:
    params, adam = start(), Adam(clip=1.0)
    gradient = MetaParams({k: w * 1e-3 for k, w in params.weights.items()}, {"normal": params.arch["normal"] * 1e6})
    _, state = adam.update(gradient, adam.init(params), params, rest_arch=True)
    torch.testing.assert_close(state.first.weights["a"], 0.1 * gradient.weights["a"])


def test_rates_are_a_group_of_their_own_without_decay() -> None:
    params = start()._replace(rates={"a": torch.ones(1, 1, 1, dtype=torch.float64)})
    adam = Adam(lr_rates=0.3, decay_weights=0.1)
    still, _ = adam.update(tree_map(torch.zeros_like, params), adam.init(params), params)
    assert torch.equal(still.rates["a"], params.rates["a"])
    moved, _ = adam.update(tree_map(torch.ones_like, params), adam.init(params), params)
    assert moved.rates["a"].item() == pytest.approx(1 - 0.3)


def test_ranges_are_checked_by_name() -> None:
    with pytest.raises(ConfigError, match=r"outer.lr_weights must be 0 or more, got -1"):
        Adam(lr_weights=-1)
    with pytest.raises(ConfigError, match=r"outer.beta2 must be in \[0, 1\), got 1"):
        Adam(beta2=1)


def test_outer_momentum_equals_torch_and_leaves_the_other_groups_to_adam() -> None:
    params = start()._replace(rates={"a": torch.ones(1, 1, 1, dtype=torch.float64)})
    sgd = Outer(lr_weights=0.1, decay_weights=5e-4, clip=0.0, optimiser="sgd")
    adam = Outer(lr_weights=0.1, decay_weights=5e-4, clip=0.0)
    mine = [w.clone().requires_grad_() for w in params.weights.values()]
    theirs = torch.optim.SGD(mine, lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    moved, state = params, sgd.init(params)
    other, other_state = params, adam.init(params)
    for i in range(6):
        resting = i == 2
        moved, state = sgd.update(tree_map(torch.sin, moved), state, moved, rest_arch=resting)
        other, other_state = adam.update(tree_map(torch.sin, other), other_state, other, rest_arch=resting)
        for w in mine:
            w.grad = w.detach().sin()
        theirs.step()
    for a, b in zip(moved.weights.values(), mine, strict=True):
        torch.testing.assert_close(a, b.detach(), rtol=1e-10, atol=1e-12)
    assert torch.equal(moved.arch["normal"], other.arch["normal"])
    assert torch.equal(moved.rates["a"], other.rates["a"])


def test_logits_by_momentum_equal_torch_and_leave_the_others_to_adam() -> None:
    params = start()
    sgd = Outer(lr_arch=0.3, beta1_arch=0.8, decay_arch=1e-2, clip=0.0, optimiser_arch="sgd")
    adam = Outer(lr_arch=0.3, beta1_arch=0.8, decay_arch=1e-2, clip=0.0)
    mine = [a.clone().requires_grad_() for a in params.arch.values()]
    theirs = torch.optim.SGD(mine, lr=0.3, momentum=0.8, weight_decay=1e-2, nesterov=True)
    moved, state, other, other_state = params, sgd.init(params), params, adam.init(params)
    for _ in range(4):
        moved, state = sgd.update(tree_map(torch.sin, moved), state, moved)
        other, other_state = adam.update(tree_map(torch.sin, other), other_state, other)
        for a in mine:
            a.grad = a.detach().sin()
        theirs.step()
    for a, b in zip(moved.arch.values(), mine, strict=True):
        torch.testing.assert_close(a, b.detach(), rtol=1e-10, atol=1e-12)
    assert all(torch.equal(w, other.weights[name]) for name, w in moved.weights.items())


@pytest.mark.parametrize("clip", [0.0, 0.5, 1e6])
def test_sgd_equals_torch(clip: float) -> None:
    sgd, weights = Sgd(momentum=0.9, decay=3e-2, clip=clip), start().weights
    buffer = sgd.init(weights)
    theirs = {k: w.clone().requires_grad_() for k, w in weights.items()}
    optimiser = torch.optim.SGD(theirs.values(), 0.1, momentum=0.9, weight_decay=3e-2)
    for lr in (0.1, 0.05, 0.02):
        before = {k: w.clone() for k, w in weights.items()}
        weights_, buffer = sgd.update({k: torch.sin(w) for k, w in weights.items()}, buffer, weights, lr)
        assert all(torch.equal(before[k], w) for k, w in weights.items())
        weights = weights_
        for w in theirs.values():
            w.grad = w.detach().sin()
        if clip:
            torch.nn.utils.clip_grad_norm_(theirs.values(), clip)
        optimiser.param_groups[0]["lr"] = lr
        optimiser.step()
        for k, w in weights.items():
            torch.testing.assert_close(w, theirs[k].detach(), rtol=1e-5, atol=1e-8)
