"""Our ways to do the same work differ in time alone."""

import os
import subprocess
import sys

import pytest
import torch

from metanas.bench.contest import adapted_task, darts_step
from metanas.bench.setting import Setting
from metanas.bench.ways import COMPILED, OURS, ChannelsLast, Compiled, Way, ways
from metanas.meta.adapt import Inner, adapt
from metanas.objective import Objective
from metanas.params import MetaParams, detach, leaves, spread
from metanas.spaces.conv import channels_last, dense

TINY = Setting("softmax", resolution=8, channels=2, nodes=1, n_way=2, n_query=1, steps=1, tasks=2)


def adapted(loss: Objective, setting: Setting) -> MetaParams:
    start, episodes = setting.start(torch.float64), setting.episodes(2, torch.float64)
    return adapt(loss, detach(spread(start, 2), requires_grad=True), episodes.support, Inner(2, 0.1, 0.5))


def assert_alike(first: MetaParams, second: MetaParams) -> None:
    for a, b in zip(leaves(first), leaves(second), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("gates", ["softmax", "straight_through"])
def test_no_result_depends_on_the_order_in_memory(gates) -> None:
    setting = Setting(gates, resolution=20, channels=2, nodes=2, n_way=3, n_query=1)
    loss = setting.objective()
    with channels_last():
        first = adapted(loss, setting)
        within = adapted(ChannelsLast(loss), setting)
    assert_alike(first, adapted(loss, setting))
    assert_alike(first, within)


def test_the_order_is_that_of_the_device_unless_it_is_asked_for() -> None:
    x = torch.zeros(2, 3, 4, 5)
    assert dense(x).stride() == (60, 1, 15, 3)
    with channels_last():
        assert dense(x).stride() == x.stride()
        with channels_last("cpu"):
            assert dense(x).stride() == (60, 1, 15, 3)
        assert dense(x).stride() == x.stride()
    assert dense(x).stride() == (60, 1, 15, 3)
    on_gpu = torch.zeros(2, 3, 4, 5, device="meta")
    assert dense(on_gpu).stride() == on_gpu.stride()
    with channels_last("meta"):
        assert dense(on_gpu).stride() == (60, 1, 15, 3)


def test_a_gpu_has_more_ways_and_the_compiler_is_asked_for() -> None:
    assert set(ways("cpu")) == {OURS}
    assert set(ways("cpu", is_compiled=True)) == {OURS, COMPILED}
    assert set(ways("cuda")) == {OURS, "unrecorded", "channels_last", "bfloat16", "bfloat16_channels_last"}


@pytest.mark.parametrize("way", ways("cuda").values(), ids=ways("cuda"))
def test_each_way_runs(way: Way) -> None:
    """Without a GPU nothing is recorded."""
    among = {OURS: way._replace(engine="plain")}
    moved = adapted_task(TINY, among).ways[OURS]()
    searched = darts_step(TINY, 2, among).ways[OURS]()
    assert isinstance(moved, MetaParams)
    assert isinstance(searched, MetaParams)
    assert all(leaf.isfinite().all() for leaf in [*leaves(moved), *leaves(searched)])


@pytest.mark.slow
def test_without_a_compiler_the_benchmark_says_so_in_one_line() -> None:
    command = [sys.executable, "-W", "ignore", "-m", "metanas.cli", "bench", "--compiled", "--device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"CXX": "no-such-compiler"})
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("metanas: --compiled needs torch.compile, which failed (")
    assert "no-such-compiler" in line


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the compiler, about our caches
def test_what_is_compiled_adapts_alike() -> None:
    loss = TINY.objective().blind(torch.device("cpu"))
    start, support = TINY.start(), TINY.episodes(2).support
    inner = Inner(2, 0.1, 0.5, first_order=True)
    first, second = (
        adapt(each, detach(spread(start, 2), requires_grad=True), support, inner) for each in (loss, Compiled(loss))
    )
    for a, b in zip(leaves(first), leaves(second), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
