"""scripts/hard_images.py: which images a run gets wrong."""

import json
import runpy
from pathlib import Path

import pytest
import torch
from PIL import Image

from metanas.run.evaluate import evaluate
from tasks.bank import ImageBank

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "hard_images.py"))


def test_errors_are_counted_where_they_are_dense() -> None:
    wrong = torch.zeros(500, dtype=torch.long)
    wrong[7], wrong[100:120], wrong[200] = 30, 2, 1
    assert SCRIPT["worst"](wrong) == [7, *range(100, 120), 200]
    said = SCRIPT["concentration"](wrong)
    assert said["errors of the 10 worst"] == "68 %"
    assert said["errors of the 300 worst"] == "100 %"
    assert SCRIPT["concentration"](torch.zeros(5, dtype=torch.long))["errors of the 10 worst"] == "0 %"


def test_a_row_shows_the_image_and_then_others_of_its_class() -> None:
    pixels = torch.arange(1, 15, dtype=torch.uint8).view(14, 1, 1, 1).expand(14, 1, 4, 4).contiguous()
    bank = ImageBank("two", ("a", "b"), pixels, torch.tensor([0, 12]), torch.tensor([12, 2]))
    sheet = SCRIPT["sheet"](bank, [13, 3])
    first, second = (sheet[0, row, ::6].tolist() for row in (0, 6))
    assert first == [14, 13, 0, 0, 0, 0, 0, 0, 0]
    assert second == [4, 1, 2, 3, 5, 6, 7, 8, 9]


def test_a_run_is_looked_at(copied, tiny, script) -> None:
    said = script("hard_images.py", copied.path)
    assert said.code == 0
    found = json.loads(said.out)
    assert (found["dataset"], found["episodes"]) == ("glyphs", 4)
    assert float(found["accuracy"].split()[0]) == pytest.approx(100 * evaluate(copied, tiny(), quiet=True)["accuracy"])
    assert found["images"] <= 4 * 5 * 2
    picture = Path(found["picture"])
    assert picture.parent == copied.path / "pictures"
    rows = min(24, found["ever wrong"])
    with Image.open(picture) as drawn:
        assert drawn.size == (2 * 9 * 18, 2 * rows * 18)


def test_the_picture_goes_where_it_is_told(copied, script, tmp_path: Path) -> None:
    assert script("hard_images.py", copied.path, "--out", tmp_path / "worst.png").code == 0
    assert (tmp_path / "worst.png").is_file()
    assert not list(copied.path.glob("pictures/hard_images*"))


def test_what_cannot_be_looked_at_is_one_line(copied, script, tmp_path: Path) -> None:
    lost = script("hard_images.py", copied.path, "--out", tmp_path / "missing" / "worst.png")
    assert lost.code == 2
    assert lost.err.startswith("hard_images: --out ")
    assert len(lost.err.splitlines()) == 1
    assert script("hard_images.py", tmp_path / "nothing").code == 2
    varied = script("hard_images.py", copied.path, "task.varied=true")
    assert varied.code == 2
    assert "task.varied" in varied.err
