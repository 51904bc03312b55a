"""The textbook and the package are the same method: equal values, gradients and steps in float64."""

import pytest
import torch

from metanas.bench.contest import looking_ahead, search_step
from metanas.bench.methods import Textbook, as_textbook
from metanas.bench.setting import Setting
from metanas.bench.textbook import textbook_weights
from metanas.meta.adapt import Inner, adapt
from metanas.meta.maml import Maml
from metanas.params import MetaParams, detach, leaves, of_task, spread
from metanas.search.finite_difference import FiniteDifference
from metanas.search.unrolled import Unrolled
from tasks.episode import Batch

INNER = Inner(steps=2, lr_weights=0.1, lr_arch=0.5)
SETTINGS = {
    f"{gates} on a {stem} stem": Setting(
        gates, resolution, channels=2, cells=cells, nodes=2, n_way=3, n_query=2, tasks=2, stem=stem
    )
    for gates in ("softmax", "straight_through")
    for stem, resolution, cells in (("pooled", 20, 2), ("plain", 10, 3))
}
CASES = [pytest.param(setting, True, id=name) for name, setting in SETTINGS.items()]
CASES.append(pytest.param(SETTINGS["softmax on a pooled stem"], False, id="without habits"))


def assert_same(ours: MetaParams, theirs: MetaParams) -> None:
    renamed = MetaParams(textbook_weights(ours.weights), ours.arch)
    for part, other in zip(renamed, theirs, strict=True):
        assert part.keys() == other.keys()
        for name, value in part.items():
            torch.testing.assert_close(value, other[name], rtol=1e-9, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize(("setting", "habits"), CASES)
class TestTextbook:
    def test_has_the_same_meta_gradient(self, setting: Setting, habits: bool) -> None:
        start, episodes = setting.start(torch.float64), setting.episodes(2, torch.float64)
        verdict = Maml(INNER)(setting.objective(), start, episodes)
        assert max(g.abs().max() for g in verdict.gradient.arch.values()) > 1e-4
        theirs = Textbook(setting, habits=habits).meta_gradient(as_textbook(start), episodes, INNER)
        assert_same(verdict.gradient, theirs)

    def test_adapts_alike(self, setting: Setting, habits: bool) -> None:
        start, episodes = setting.start(torch.float64), setting.episodes(1, torch.float64)
        ours = adapt(setting.objective(), detach(spread(start, 1), requires_grad=True), episodes.support, INNER)
        alone = type(episodes)(*(Batch(batch.x[0], batch.y[0]) for batch in episodes))
        theirs = Textbook(setting, habits=habits).adapt(as_textbook(start), alone, INNER)
        assert_same(of_task(ours, 0), theirs)
        assert max((a - b).abs().max() for a, b in zip(leaves(theirs), leaves(as_textbook(start)), strict=True)) > 1e-3

    def test_searches_alike(self, setting: Setting, habits: bool) -> None:
        start, episodes = setting.start(torch.float64), setting.episodes(2, torch.float64)
        train, held_out = (Batch(episodes.query.x[i], episodes.query.y[i]) for i in range(2))
        ours = search_step(setting.objective(), detach(start, requires_grad=True), train, held_out, (0.1, 0.5))
        theirs = Textbook(setting, habits=habits).search_step(as_textbook(start), train, held_out, (0.1, 0.5))
        assert_same(ours, theirs)
        assert any(not torch.equal(ours.arch[kind], start.arch[kind]) for kind in start.arch)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("exact", [True, False])
def test_looks_ahead_alike(exact: bool) -> None:
    setting, rates = SETTINGS["softmax on a plain stem"], (0.1, 0.5)
    start, episodes = setting.start(torch.float64), setting.episodes(2, torch.float64)
    train, held_out = (Batch(episodes.query.x[i], episodes.query.y[i]) for i in range(2))
    gradient = Unrolled() if exact else FiniteDifference()
    leaf = detach(start, requires_grad=True)
    ours = looking_ahead(gradient, setting.objective(), leaf, (train, held_out), rates)
    theirs = Textbook(setting).second_order_step(as_textbook(start), train, held_out, rates, exact=exact)
    assert_same(ours, theirs)
    plain = search_step(setting.objective(), leaf, train, held_out, rates)
    assert any((ours.arch[kind] - plain.arch[kind]).abs().max() > 1e-4 for kind in start.arch)
