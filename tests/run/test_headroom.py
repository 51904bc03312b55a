"""scripts/headroom.py: what a cell of its own could be worth to a task."""

import json
import runpy
from pathlib import Path

import pytest
import torch

from metanas.run.directory import RunDirectory
from metanas.run.meta_train import meta_train
from tasks.episode import Batch, Episode

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "headroom.py"))


def measured(worth: torch.Tensor, noise: float, *, by_support: bool = False) -> dict[str, str]:
    """What is said of 8 cells and 4,000 tasks, where a cell is `worth` so much to a task, seen through noise."""
    rng = torch.Generator().manual_seed(0)
    mine = worth[:, :, None] if not by_support else worth.view(8, 4000, 2)
    shares = mine[..., None] + noise * torch.randn(8, 4000, 2, 2, generator=rng, dtype=torch.float64)
    found: dict[str, str] = SCRIPT["headroom"](shares, torch.zeros(4000, dtype=torch.long))
    return found


def points(text: str) -> float:
    return float(text.split()[0])


class TestHeadroom:
    """With accuracies that are made up."""

    def normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def test_what_tasks_prefer_is_found_through_the_noise(self) -> None:
        found = measured(0.7 + 0.03 * self.normal(8, 4000), noise=0.05)
        assert points(found["points of a support set"]) == pytest.approx(3 * (7 / 8) ** 0.5, abs=0.2)
        assert points(found["points of a task"]) == pytest.approx(3 * (7 / 8) ** 0.5, abs=0.2)
        assert points(found["each above all"]) > 1

    def test_what_is_worth_as_much_to_all_tasks_is_no_preference(self) -> None:
        worth = 0.7 + 0.05 * self.normal(8, 1) + 0.1 * self.normal(1, 4000)
        found = measured(worth, noise=0.05)
        assert points(found["points of a support set"]) < 0.5
        assert points(found["each above all"]) < 0.2
        assert points(found["best for all"]) == pytest.approx(100 * worth.mean(1).max().item(), abs=0.3)

    def test_what_a_support_set_has_made_is_told_from_what_a_task_prefers(self) -> None:
        found = measured(0.7 + 0.03 * self.normal(8, 8000), noise=0.05, by_support=True)
        assert points(found["points of a support set"]) == pytest.approx(3 * (7 / 8) ** 0.5, abs=0.2)
        assert points(found["points of a task"]) < 0.6

    def test_own_cells_count_where_they_are_known(self) -> None:
        shares = torch.zeros(2, 3, 2, 2, dtype=torch.float64)
        shares[1] = 0.1
        found = SCRIPT["headroom"](shares, torch.tensor([0, 1, -1]))
        assert found["own above prior"].startswith("5.0 ")
        assert found["own above prior"].endswith("(2 tasks)")


def test_signs_pick_cells_and_a_committee_is_right_where_most_are() -> None:
    """Two tasks of one image; the prior is wrong in the second, which two others are right about, surely or not."""
    y = torch.tensor([[0], [1]])

    def seen(loss: list[float], first: float, second: float) -> object:
        sure = torch.tensor([[[first, 1 - first]], [[1 - second, second]]])
        return SCRIPT["Seen"](torch.tensor(loss), sure)

    cells = [seen([0.5, 0.9], 0.9, 0.4), seen([0.9, 0.5], 0.9, 0.6), seen([0.9, 0.9], 0.8, 0.95)]
    found = SCRIPT["signs"](cells, y)
    assert found["least support loss above prior"].startswith("50.0 ")
    assert found["most certain above prior"].startswith("50.0 ")
    assert found["committee above prior"].startswith("50.0 ")
    assert SCRIPT["signs"](cells[:1], y)["committee above prior"].startswith("0.0 ")


def test_the_other_support_set_comes_out_of_the_query_images() -> None:
    y = torch.tensor([[1, 0, 0, 1, 0, 1], [0, 0, 1, 1, 1, 0]])
    query = Batch(torch.arange(12.0).view(2, 6, 1, 1, 1), y)
    support = Batch(torch.zeros(2, 2, 1, 1, 1), torch.tensor([[0, 1], [0, 1]]))
    left, first, second = SCRIPT["divided"](Episode(support, query), 2)
    assert first is support
    assert second.x.flatten().tolist() == [1, 0, 6, 8]
    assert left.x.flatten().tolist() == [2, 4, 3, 5, 7, 11, 9, 10]
    assert second.y.tolist() == [[0, 1], [0, 1]]
    assert left.y.tolist() == [[0, 0, 1, 1], [0, 0, 1, 1]]


def test_a_run_is_measured(done, script) -> None:
    said = script("headroom.py", done.path, "--cells", 3, "evaluate.n_query=5", "evaluate.episodes=4")
    assert said.code == 0
    found = json.loads(said.out)
    assert found["dataset"] == "glyphs"
    assert 1 <= found["cells"] <= 3
    assert found["prior"].endswith("(4 tasks)")
    assert found["committee above prior"].endswith("(4 tasks)")


def test_too_few_query_images_are_refused(done, script) -> None:
    said = script("headroom.py", done.path, "evaluate.n_query=2")
    assert said.code == 2
    assert said.err.startswith(
        "headroom: expected evaluate.n_query of at least 3, for a second support set and two halves"
    )


def test_what_cannot_be_measured_is_one_line(tiny, tmp_path: Path, script) -> None:
    meta_train(tiny("space.kind=conv4"), RunDirectory(tmp_path / "fixed"), quiet=True)
    said = script("headroom.py", tmp_path / "fixed")
    assert said.code == 2
    assert "headroom: expected a space with something to decide and adapt.strategy=gradient, got space.kind" in said.err
    assert script("headroom.py", tmp_path / "nothing").code == 2
    assert "at least 2, got 1" in script("headroom.py", tmp_path / "fixed", "--cells", 1).err
