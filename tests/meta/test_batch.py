"""However a meta-batch is executed, its verdict is the same; too little memory means smaller calls."""

import logging
from collections.abc import Callable

import pytest
import torch

from metanas.errors import MemoryShortError
from metanas.meta.adapt import Inner
from metanas.meta.batch import Execute, Executor
from metanas.meta.gradient import MetaGradient, Verdict
from metanas.meta.maml import Maml
from metanas.meta.reptile import Reptile
from metanas.objective import Classification, LossFn
from metanas.params import MetaParams, leaves
from metanas.relax.relaxation import Relaxation
from metanas.relax.softmax import Softmax
from metanas.relax.straight_through import StraightThrough
from tasks.episode import Episode

from .conftest import Small

INNER = Inner(steps=2, lr_weights=0.1, lr_arch=0.5)
SHORT: dict[str, Callable[[], RuntimeError]] = {
    "cuda": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    "cpu": lambda: RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
}


class Narrow:
    """A meta-gradient on a device whose memory holds `most` tasks."""

    def __init__(self, gradient: MetaGradient, most: int, error: Callable[[], RuntimeError]) -> None:
        self.gradient, self.most, self.error = gradient, most, error
        self.calls: list[int] = []

    def __call__(self, loss: LossFn, start: MetaParams, episodes: Episode) -> Verdict:
        self.calls.append(len(episodes.support.y))
        if self.calls[-1] > self.most:
            raise self.error()
        return self.gradient(loss, start, episodes)


def assert_same(a: Verdict, b: Verdict) -> None:
    for x, y in zip(leaves(a.gradient), leaves(b.gradient), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(a.query_loss, b.query_loss, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("gradient", [Maml(INNER), Reptile(INNER)], ids=["maml", "reptile"])
@pytest.mark.parametrize("gates", ["softmax", "straight_through"])
def test_every_execution_gives_the_same_verdict(small: Small, gradient: MetaGradient, gates: str) -> None:
    relaxation: Relaxation = Softmax() if gates == "softmax" else StraightThrough(small.space.harden)
    loss = Classification(small.net, relaxation)
    ways: list[Execute] = ["auto", "fold", "vmap", "loop"]
    verdicts = [Executor(gradient, how)(loss, small.start, small.episodes) for how in ways]
    assert len(verdicts[0].query_loss) == 3
    for verdict in verdicts[1:]:
        assert_same(verdict, verdicts[0])


@pytest.mark.parametrize("error", SHORT.values(), ids=SHORT)
def test_too_little_memory_halves_the_calls_and_changes_no_result(
    small: Small, error: Callable[[], RuntimeError], caplog: pytest.LogCaptureFixture
) -> None:
    loss = Classification(small.net, Softmax())
    narrow = Narrow(Maml(INNER), 1, error)
    execute = Executor(narrow)
    with caplog.at_level(logging.WARNING):
        found = execute(loss, small.start, small.episodes)
    assert narrow.calls == [3, 2, 1, 1, 1]
    assert [r.getMessage().split(":")[0] for r in caplog.records] == [
        f"memory does not suffice for {size} tasks in one call" for size in (3, 2)
    ]
    assert_same(found, Maml(INNER)(loss, small.start, small.episodes))
    execute(loss, small.start, small.episodes)
    assert narrow.calls[5:] == [1, 1, 1], "the next meta-batch tries no size that has failed"


def test_a_task_that_does_not_fit_ends_in_one_clear_error(small: Small) -> None:
    execute = Executor(Narrow(Maml(INNER), 0, SHORT["cuda"]))
    with pytest.raises(MemoryShortError, match="a single task needs more memory than there is; lower space.width"):
        execute(Classification(small.net, Softmax()), small.start, small.episodes)


def test_other_errors_are_not_taken_for_lack_of_memory(small: Small) -> None:
    narrow = Narrow(Maml(INNER), 0, lambda: RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        Executor(narrow)(Classification(small.net, Softmax()), small.start, small.episodes)
    assert narrow.calls == [3]
