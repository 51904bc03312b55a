"""`metanas bench` measures what it says, and `--json` prints one object and nothing else."""

import json
import time
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from typer.testing import CliRunner

from metanas.bench.contest import both, contests
from metanas.bench.floors import Rates, Work, work_of
from metanas.bench.memory import peak_bytes
from metanas.bench.oracle import child_iteration
from metanas.bench.setting import Setting
from metanas.bench.textbook import textbook_weights
from metanas.bench.timing import race
from metanas.bench.ways import COMPILED, OURS, ways
from metanas.cli import app
from metanas.run import bench
from metanas.spaces.convolution import convolve

TINY = Setting(resolution=8, channels=2, nodes=1, n_way=2, n_query=1, steps=1, tasks=2)
SMALL = bench.Extent(
    TINY, Setting(resolution=8, channels=2, cells=3, nodes=1, stem="plain"), 2, 2, 0.0, {"ways": (2, 4)}
)


@pytest.mark.timeout(300)
def test_json_is_one_object_with_a_ratio_for_every_item(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "QUICK", SMALL)
    done = CliRunner().invoke(app, ["bench", "--json", "--quick"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["threads"], found["device"], found["quick"]) == (1, "cpu", True)
    items = {(item["name"], item["gates"]): item for item in found["items"]}
    names = ("adapted_task", "meta_iteration", "darts_search_step")
    assert items.keys() == {
        *((name, gates) for name in names for gates in ("straight_through", "softmax")),
        *((name, "softmax") for name in ("darts_exact_step", "darts_difference_step")),
    }
    assert 0 < found["seconds"] < 300
    for item in items.values():
        low, high = item["seconds_spread"]
        assert 0 < low <= item["seconds_median"] <= high
        assert (item["ratio_lean"] is None) is (item["name"] not in ("adapted_task", "darts_search_step"))
        assert item["ratio"] == pytest.approx(item["seconds_textbook_median"] / item["seconds_median"])
        assert item["runs"] == 2
        assert item["peak_bytes"] >= 0
    assert [(axis["axis"], axis["values"]) for axis in found["growth"]] == [("ways", [2, 4])]
    assert "missing" in found["learn2learn"] or found["learn2learn"]["ratio"] > 0
    assert len(bench.lines(found).splitlines()) == 2 + 8 + 1 + 1


def test_contestants_take_turns_and_the_first_round_does_not_count() -> None:
    calls: list[str] = []
    times = race({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=3, budget=9.0)
    assert "".join(calls) == "abababab"
    assert len(times["a"].seconds) == len(times["b"].seconds) == 3


def test_a_first_round_that_takes_half_of_the_budget_counts() -> None:
    calls: list[str] = []
    times = race({"a": lambda: (calls.append("a"), time.sleep(0.02))}, rounds=9, budget=0.03)
    assert len(times["a"].seconds) == len(calls) == 2


def test_a_spent_budget_leaves_two_rounds() -> None:
    assert len(race({"a": lambda: time.sleep(0.01)}, rounds=9, budget=0.0)["a"].seconds) == 2


def test_the_peak_of_memory_is_that_of_the_work() -> None:
    size = 64 * 2**20
    assert size <= peak_bytes(lambda: torch.ones(size // 4).sum()) < 1.5 * size
    assert peak_bytes(lambda: None) < size / 4


def test_a_device_that_is_not_there_is_refused_in_one_line() -> None:
    if torch.cuda.is_available():
        pytest.skip("torch sees a GPU")
    done = CliRunner().invoke(app, ["bench", "--device", "cuda"])
    assert done.exit_code == 2
    assert "device=cuda was asked for, but torch sees no GPU" in done.stderr


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the compiler, about our caches
def test_what_is_compiled_is_timed_after_its_compilation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "QUICK", SMALL)
    monkeypatch.setattr(bench, "both", lambda setting: [replace(setting, gates="softmax")])  # minutes less
    found = bench.bench(quick=True, compiled=True, device="cpu")
    for item in found["items"]:
        is_first_order = item["name"] in ("adapted_task", "darts_search_step")
        assert set(item["ways"]) == ({COMPILED} if is_first_order else set())
        assert ("seconds_to_compile" in item) is is_first_order
        if is_first_order:
            assert item["ways"][COMPILED]["seconds_median"] < item["seconds_to_compile"] / 10
    assert "compiled in" in bench.lines(found)


@pytest.mark.gpu
@pytest.mark.timeout(300)
def test_a_gpu_is_held_against_its_floors() -> None:
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    found = bench.bench(quick=True, device="cuda")
    assert min(found["rates"].values()) > 1e9
    for item in found["items"]:
        assert 0 < item["floor_share_bytes"] < 1
        assert 0 < item["floor_share_flops"] < 1
        is_first_order = item["name"] not in ("darts_exact_step", "darts_difference_step")
        assert set(item["ways"]) == (set(ways("cuda")) - {OURS} if is_first_order else set())
        assert ("search_minutes" in item) is (item["name"] == "darts_search_step")


class TestWork:
    def test_kernels_bytes_and_operations_are_counted_by_hand(self) -> None:
        a, b = torch.empty(3, 4, device="meta"), torch.empty(4, 5, device="meta")
        work = work_of(lambda: (a.t() @ a.view(3, 4), torch.relu(a @ b)))
        first, second, third = 2 * 12 + 16, 12 + 20 + 15, 2 * 15
        assert work == Work(3, 4 * (first + second + third), 2 * (4 * 4 * 3 + 3 * 5 * 4))

    @pytest.mark.parametrize("groups", [1, 2, 4])
    def test_gradients_of_a_convolution_cost_what_it_costs(self, groups: int) -> None:
        x = torch.empty(3, 4, 6, 5, device="meta", requires_grad=True)
        weight = torch.empty(4, 4 // groups, 3, 3, device="meta", requires_grad=True)
        flops = 2 * (3 * 4 * 6 * 5) * (4 // groups * 9)
        assert work_of(lambda: F.conv2d(x, weight, None, 1, 1, 1, groups)).flops == flops
        out = convolve(x, weight, 1, 1, groups)
        assert work_of(lambda: torch.autograd.grad(out, [x, weight], torch.ones_like(out))).flops == 2 * flops
        out = convolve(x, weight.detach(), 1, 1, groups)
        assert work_of(lambda: torch.autograd.grad(out, [x], torch.ones_like(out))).flops == flops

    def test_every_item_can_be_counted(self) -> None:
        """On the device where nothing is computed, with both kinds of gates."""
        for gates in both(replace(TINY, device="meta")):
            search = replace(gates, cells=3, stem="plain")
            for item in contests(gates, search, 2)[:4]:
                assert min(work_of(item.core)) > 0

    def test_shares_are_those_of_the_floors(self) -> None:
        assert Rates(10.0, 100.0).shares(Work(1, 20, 400), 8.0) == {
            "floor_share_bytes": 0.25,
            "floor_share_flops": 0.5,
        }


@pytest.mark.filterwarnings("ignore")  # of packages that learn2learn brings
def test_learn2learn_has_the_same_gradient() -> None:
    pytest.importorskip("tasks._compat")
    pytest.importorskip("learn2learn")
    ways = child_iteration(TINY).ways
    verdict, theirs = ways["ours"](), ways["learn2learn"]()
    for name, gradient in textbook_weights(verdict.gradient.weights).items():  # type: ignore[attr-defined]
        torch.testing.assert_close(gradient, theirs[name], rtol=2e-3, atol=1e-4)  # type: ignore[index]
