"""Processes with the result of one."""

import os
import signal
import time

import pytest
import torch

from metanas.errors import NonFiniteError, RunError
from metanas.parallel import Crew
from metanas.params import MetaParams


class Owner:
    """What a crew calls."""

    offset = 10.0

    def scaled(self, params: MetaParams, factor: int) -> MetaParams:
        return MetaParams({k: factor * w + self.offset for k, w in params.weights.items()}, params.arch)

    def process(self, index: int) -> tuple[int, int]:
        return index, os.getpid()

    def fail(self, index: int) -> int:
        if index == 1:
            raise NonFiniteError("task 1 is not finite")
        return index

    def die(self, index: int) -> int:
        if index == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return index


PARAMS = MetaParams({"w": torch.arange(6.0).view(2, 3)}, {"normal": torch.ones(2, dtype=torch.float64)})


@pytest.mark.parametrize("size", [1, 2, 3])
def test_results_come_in_order_and_do_not_depend_on_the_number_of_processes(size: int) -> None:
    with Crew(Owner(), size) as crew:
        for _ in range(2):
            found = crew.map("scaled", [(PARAMS, factor) for factor in range(5)])
            for factor, result in enumerate(found):
                assert isinstance(result, MetaParams)
                assert torch.equal(result.weights["w"], factor * PARAMS.weights["w"] + 10)
                assert torch.equal(result.arch["normal"], PARAMS.arch["normal"])


def test_the_work_is_shared() -> None:
    with Crew(Owner(), 2) as crew:
        assert len({process for _, process in crew.map("process", [(i,) for i in range(4)])}) == 2


def test_an_error_of_a_copy_is_raised_here() -> None:
    with Crew(Owner(), 2) as crew, pytest.raises(NonFiniteError, match="task 1"):
        crew.map("fail", [(i,) for i in range(2)])


@pytest.mark.parametrize("items", [[(0,), (1,)], [(1,), (0,)]], ids=["in a copy", "here"])
def test_after_an_error_the_answers_are_those_of_the_next_call(items: list[tuple[int]]) -> None:
    with Crew(Owner(), 2) as crew:
        with pytest.raises(NonFiniteError):
            crew.map("fail", items)
        assert [index for index, _ in crew.map("process", [(7,), (8,)])] == [7, 8]


def test_a_killed_copy_is_one_clear_error() -> None:
    with Crew(Owner(), 2) as crew, pytest.raises(RunError, match="a worker process has died"):
        crew.map("die", [(i,) for i in range(2)])


def test_no_process_outlives_its_crew() -> None:
    with Crew(Owner(), 2) as crew:
        other = crew.map("process", [(0,), (1,)])[1][1]
    for _ in range(50):
        try:
            os.kill(other, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("the copy is still there")
