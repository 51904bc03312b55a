"""What every meta-gradient promises; a new one joins with one line in GRADIENTS."""

from typing import TypeVar

import pytest
import torch

from metanas.meta.adapt import Inner
from metanas.meta.batch import Executor, merge
from metanas.meta.gradient import MetaGradient, Verdict
from metanas.meta.imaml import Imaml
from metanas.meta.joint import Joint
from metanas.meta.maml import Maml
from metanas.meta.metric import Metric
from metanas.meta.reptile import Reptile
from metanas.meta.variational import Variational
from metanas.objective import Classification, blind
from metanas.params import MetaParams, leaves
from metanas.recorder import flatten, rebuild
from metanas.relax.straight_through import StraightThrough
from metanas.spaces.fewshot import FewShot
from metanas.spaces.initial import initial_weights
from tasks.episode import Batch, Episode, TaskSpec
from tasks.stream import stream

T = TypeVar("T")

SPACE, SPEC = FewShot(width=2, nodes=1), TaskSpec(3, 1, 2, (1, 8, 8))
INNER = Inner(2, 0.1, 1.0)
GRADIENTS: dict[str, MetaGradient] = {
    "maml": Maml(INNER),
    "fomaml": Maml(Inner(2, 0.1, 1.0, first_order=True)),
    "meta_sgd": Maml(Inner(2, 0.1, 1.0, rates="element")),
    "lslr": Maml(Inner(2, 0.1, 1.0, rates="layer_step")),
    "multi_step": Maml(INNER, (0.4, 0.6)),
    "reptile": Reptile(INNER),
    "reptile in minibatches": Reptile(INNER, 2),
    "reptile by alternating Adam": Reptile(Inner(2, 0.01, 0.1, optimiser="adam", alternate=True)),
    "reptile by carried Adam": Reptile(Inner(2, 0.01, 0.1, optimiser="carried_adam")),
    "imaml": Imaml(Inner(2, 0.1, 1.0, proximal_weights=2.0, proximal_arch=1.0), 3),
    "variational": Variational(Inner(2, 0.1, 1.0, proximal_weights=0.1, kl_arch=2.0)),
    "joint": Joint(),
    "prototypes": Metric(),
}
NET = SPACE.supernet(SPEC)
LOSS = Classification(NET, StraightThrough(SPACE.harden))


def the_start(gradient: MetaGradient) -> MetaParams:
    weights = {k: w.double() for k, w in initial_weights(NET, stream(0, "weights")).items()}
    weights["head.weight"] = torch.randn(weights["head.weight"].shape, generator=stream(0, "head")).double() / 4
    arch = {k: torch.randn(a.shape, generator=stream(0, k)).double() for k, a in SPACE.logits().items()}
    start = MetaParams(weights, arch)
    return gradient.inner.equipped(start) if isinstance(gradient, Maml | Reptile) else start


def images(name: str, per_class: int, tasks: int) -> Batch:
    y = torch.arange(3).repeat_interleave(per_class).expand(tasks, -1)
    return Batch(torch.rand(*y.shape, *SPEC.image, generator=stream(0, name)).double(), y)


EPISODES = Episode(images("support", 1, 3), images("query", 2, 3))


def part(first: int, last: int) -> Episode:
    return Episode(*(Batch(batch.x[first:last], batch.y[first:last]) for batch in EPISODES))


CPU = torch.device("cpu")


def sent(tree: T, device: torch.device) -> T:
    tensors, form = flatten(tree)
    found: T = rebuild(form, [tensor.to(device) for tensor in tensors])
    return found


def gpu() -> torch.device:
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    return torch.device("cuda")


def assert_same(found: Verdict, expected: Verdict) -> None:
    torch.testing.assert_close(found.query_loss, expected.query_loss, rtol=1e-9, atol=1e-12)
    for a, b in zip(leaves(found.gradient), leaves(expected.gradient), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("gradient", GRADIENTS.values(), ids=GRADIENTS)
class TestMetaGradient:
    def test_is_a_meta_gradient(self, gradient: MetaGradient) -> None:
        assert isinstance(gradient, MetaGradient)

    def test_has_the_form_of_the_start_and_no_graph(self, gradient: MetaGradient) -> None:
        start = the_start(gradient)
        found, query_loss = gradient(LOSS, start, EPISODES)
        for mine, theirs in zip(found, start, strict=True):
            assert {k: t.shape for k, t in mine.items()} == {k: t.shape for k, t in theirs.items()}
        assert query_loss.shape == (3,)
        assert not any(t.requires_grad for t in [*leaves(found), query_loss])
        assert all(any(g.any() for g in group.values()) for group in found if group)

    def test_is_a_function_of_its_arguments_and_leaves_them_as_they_are(self, gradient: MetaGradient) -> None:
        start = the_start(gradient)
        before = [t.clone() for t in leaves(start)]
        first, second = (gradient(LOSS, start, EPISODES) for _ in range(2))
        assert all(torch.equal(a, b) for a, b in zip(leaves(first.gradient), leaves(second.gradient), strict=True))
        assert all(torch.equal(a, b) for a, b in zip(leaves(start), before, strict=True))

    def test_folded_tasks_equal_the_sum_over_tasks(self, gradient: MetaGradient) -> None:
        start = the_start(gradient)
        together = gradient(LOSS, start, EPISODES)
        apart = merge([gradient(LOSS, start, part(i, i + 1)) for i in range(3)])
        torch.testing.assert_close(apart.query_loss, together.query_loss, rtol=1e-9, atol=1e-12)
        for a, b in zip(leaves(apart.gradient), leaves(together.gradient), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-10)

    def test_blind_work_gives_the_same(self, gradient: MetaGradient) -> None:
        start = the_start(gradient)
        assert_same(gradient(blind(LOSS, CPU), start, EPISODES), gradient(LOSS, start, EPISODES))

    def test_blind_work_looks_at_no_value(self, gradient: MetaGradient) -> None:
        """On a device whose tensors have none, as work has to be that is recorded."""
        away = torch.device("meta")
        start, episodes = sent(the_start(gradient), away), sent(EPISODES, away)
        found = gradient(blind(LOSS, away), start, episodes)
        assert {t.device.type for t in leaves(found.gradient)} == {"meta"}

    @pytest.mark.gpu
    def test_recorded_work_gives_the_same(self, gradient: MetaGradient) -> None:
        """The second call replays what the first has recorded, on other episodes."""
        there = gpu()
        start, execute = the_start(gradient), Executor(gradient, engine="graph")
        for episodes in (part(0, 2), part(1, 3)):
            found = execute(LOSS, sent(start, there), sent(episodes, there))
            assert_same(sent(found, CPU), gradient(LOSS, start, episodes))

    def test_resting_logits_get_zeros(self, gradient: MetaGradient) -> None:
        loss = Classification(NET, LOSS.relaxation, rest_arch=True)
        found = gradient(loss, the_start(gradient), EPISODES).gradient
        assert not any(g.any() for g in found.arch.values())
        assert any(g.any() for g in found.weights.values())
