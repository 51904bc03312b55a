"""Each item of the benchmark: what we do, and what the textbook does, on the same tasks from the same start."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import torch

from metanas.bench.methods import Textbook, as_textbook
from metanas.bench.setting import Gates, Setting
from metanas.bench.ways import OURS, Way, ways
from metanas.meta.adapt import Inner, adapt
from metanas.meta.adapted import adapted
from metanas.meta.batch import Executor
from metanas.meta.learner import Descent
from metanas.meta.maml import Maml
from metanas.objective import LossFn
from metanas.optim import Outer
from metanas.params import MetaParams, detach, leaves, spread
from metanas.recorder import is_recorded, recorded
from metanas.search.arch_gradient import ArchGradient, WeightStep
from metanas.search.finite_difference import FiniteDifference
from metanas.search.unrolled import Unrolled
from tasks.episode import Batch, Episode

TEXTBOOK, LEAN = "textbook", "lean"
"""The contestants beside our ways; `lean` is the textbook without the habits that cost time and change no result, in
short items."""

Work = Callable[[], object]


class Contest(NamedTuple):
    """The same work done in several ways."""

    name: str
    setting: Setting
    ways: dict[str, Work]
    core: Work
    """The part of our way that runs on the device of the setting alone, which may be `meta`."""


def contests(setting: Setting, search: Setting, batch: int, *, is_compiled: bool = False) -> list[Contest]:
    """All items with the gates of the settings; `batch` images are in each batch of a search step.

    Second-order search steps come with softmax gates alone, which are DARTS's. With `is_compiled` first-order items
    have a way more.
    """
    once = ways(setting.device, is_compiled=is_compiled)  # may be differentiated once
    items = [adapted_task(setting, once), meta_iteration(setting), darts_step(search, batch, once)]
    if setting.device != "cpu":
        items.append(adapted_task(replace(setting, n_way=10, k_shot=200), once, "adapted_10way_200shot"))
    if search.gates == "softmax":
        items += [second_order_step(search, batch, exact=exact) for exact in (True, False)]
    return items


def inner(setting: Setting, *, first_order: bool) -> Inner:
    """T-NAS's step size for weights, and one for logits that keeps softmax gates apart from 0 and 1."""
    return Inner(setting.steps, lr_weights=0.1, lr_arch=1.0, first_order=first_order)


def adapted_task(setting: Setting, among: Mapping[str, Way], name: str = "adapted_task") -> Contest:
    """A new task's inner loop on weights and logits, at first order: nothing is differentiated through it."""
    start, episodes = setting.start(), setting.episodes(1)
    steps, loss = inner(setting, first_order=True), setting.objective()
    alone = Episode(*(Batch(part.x[0], part.y[0]) for part in episodes))

    def ours(way: Way) -> Work:
        made, support, here = way.of(loss), episodes.support.to(way.dtype), replace(steps, engine=way.engine)
        return lambda: adapted(made, spread(start, 1), support, here)

    found = {kind: ours(way) for kind, way in among.items()}
    for kind, book in _books(setting):
        found[kind] = lambda book=book: book.adapt(as_textbook(start), alone, steps)  # type: ignore[misc]
    return Contest(name, setting, found, found[OURS])


def meta_iteration(setting: Setting) -> Contest:
    """The exact MAML gradient of a meta-batch, and Adam's step."""
    start, episodes = setting.start(), setting.episodes(setting.tasks)
    steps, loss = inner(setting, first_order=False), setting.objective()
    learner = Descent(Maml(steps), Outer())
    state = learner.init(start)

    def ours(way: Way) -> Work:
        made, execute = way.of(loss), Executor(learner.gradient, engine=way.engine)
        seen = Episode(*(batch.to(way.dtype) for batch in episodes))
        return lambda: learner.step(state, [execute(made, start, seen)], 1.0)

    found = {kind: ours(way) for kind, way in ways(setting.device).items()}
    found[TEXTBOOK] = _textbook_iteration(Textbook(setting), as_textbook(start), episodes, steps)
    execute = Executor(learner.gradient, engine="plain")
    return Contest("meta_iteration", setting, found, lambda: execute(loss, start, episodes))


def _textbook_iteration(book: Textbook, start: MetaParams, episodes: Episode, steps: Inner) -> Work:
    ours = Outer()
    optimiser = torch.optim.Adam(
        [
            {"params": list(start.weights.values()), "lr": ours.lr_weights},
            {"params": list(start.arch.values()), "lr": ours.lr_arch, "betas": (ours.beta1_arch, ours.beta2)},
        ]
    )

    def iterate() -> None:
        gradient = book.meta_gradient(start, episodes, steps)
        for leaf, g in zip(leaves(start), leaves(gradient), strict=True):
            leaf.grad = g / len(episodes.support.y)
        torch.nn.utils.clip_grad_norm_(leaves(start), ours.clip)
        optimiser.step()

    return iterate


def darts_step(setting: Setting, images: int, among: Mapping[str, Way]) -> Contest:
    """First-order DARTS: the weights move on one batch of `images`, then the logits on another."""
    start, (train, held_out) = setting.start(), batches(setting, images)
    loss, rates = setting.objective(), (0.025, 0.3)
    begin = detach(start, requires_grad=True)

    def ours(way: Way) -> Work:
        made, seen, judged = way.of(loss), train.to(way.dtype), held_out.to(way.dtype)
        if not is_recorded(way.engine, seen.x.device):
            return lambda: search_step(made, begin, seen, judged, rates)

        def step(loss: LossFn, params: MetaParams, train: Batch, held_out: Batch) -> MetaParams:
            return search_step(loss, detach(params, requires_grad=True), train, held_out, rates)

        return lambda: recorded(("search step", rates), step, made.blind(seen.x.device), start, seen, judged)

    found = {kind: ours(way) for kind, way in among.items()}
    for name, book in _books(setting):
        theirs = as_textbook(start)
        found[name] = lambda book=book, theirs=theirs: book.search_step(theirs, train, held_out, rates)  # type: ignore[misc]
    return Contest("darts_search_step", setting, found, found[OURS])


def second_order_step(setting: Setting, images: int, *, exact: bool) -> Contest:
    """Second-order DARTS: the logits step by what the next step of the weights makes of them, then the weights do."""
    start, (train, held_out) = setting.start(), batches(setting, images)
    loss, rates = setting.objective(), (0.025, 0.3)
    gradient: ArchGradient = Unrolled() if exact else FiniteDifference()
    ours, theirs, book = detach(start, requires_grad=True), as_textbook(start), Textbook(setting)
    found: dict[str, Work] = {
        OURS: lambda: looking_ahead(gradient, loss, ours, (train, held_out), rates),
        TEXTBOOK: lambda: book.second_order_step(theirs, train, held_out, rates, exact=exact),
    }
    return Contest("darts_exact_step" if exact else "darts_difference_step", setting, found, found[OURS])


def looking_ahead(
    gradient: ArchGradient, loss: LossFn, params: MetaParams, data: tuple[Batch, Batch], rates: tuple[float, float]
) -> MetaParams:
    """A step of the logits by `gradient`, then one of the weights; `data` is a training and a held-out batch."""
    still = {name: torch.zeros_like(w) for name, w in params.weights.items()}
    found = gradient(loss, detach(params), *data, WeightStep(rates[0], 0.0, 0.0, still)).gradient
    arch = {name: logits - rates[1] * found[name] for name, logits in params.arch.items()}
    moved = detach(MetaParams(params.weights, arch), requires_grad=True)
    return detach(adapt(loss, moved, data[0], Inner(1, rates[0], 0.0, first_order=True)), requires_grad=True)


def batches(setting: Setting, images: int) -> tuple[Batch, Batch]:
    """Two batches of noise."""
    query = replace(setting, n_query=-(-images // setting.n_way)).episodes(2).query
    first, second = (Batch(query.x[i, :images], query.y[i, :images]) for i in range(2))
    return first, second


def search_step(
    loss: LossFn, params: MetaParams, train: Batch, held_out: Batch, rates: tuple[float, float]
) -> MetaParams:
    """First-order DARTS (arXiv 1806.09055, section 2.3): a step of the weights, then one of the logits."""
    weights, arch = (Inner(1, *pair, first_order=True) for pair in ((rates[0], 0.0), (0.0, rates[1])))
    moved = detach(adapt(loss, params, train, weights), requires_grad=True)
    return detach(adapt(loss, moved, held_out, arch), requires_grad=True)


def _books(setting: Setting) -> list[tuple[str, Textbook]]:
    return [(TEXTBOOK, Textbook(setting)), (LEAN, Textbook(setting, habits=False))]


def both(setting: Setting) -> list[Setting]:
    """With the package's default gates, and with softmax gates."""
    kinds: tuple[Gates, ...] = ("straight_through", "softmax")
    return [replace(setting, gates=kind) for kind in kinds]
