"""scripts/episode_pictures.py, and the pictures that docs/data.md shows."""

import re
import runpy
import sys
from pathlib import Path

import pytest
from PIL import Image

from tasks.sources import cifar100

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "data.md"


def call(*arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["episode_pictures.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(ROOT / "scripts" / "episode_pictures.py"), run_name="__main__")
    return int(ended.value.code or 0)


def test_an_episode_is_drawn_and_its_classes_are_named(
    small_cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cifar100, "PER_CLASS", 6)
    for path in list((small_cifar / cifar100.FOLDERS).rglob("[01].png")):
        path.with_stem(f"{path.stem}-upside-down").write_bytes(path.read_bytes())
        with Image.open(path) as picture:
            picture.rotate(180).save(path)
    monkeypatch.setenv("METANAS_CACHE", str(tmp_path / "cache"))
    assert call("fc100", "--root", small_cifar, "--out", tmp_path) == 0
    (line,) = capsys.readouterr().out.splitlines()
    path, names = line.split(": ")
    assert path == str(tmp_path / "episode_fc100.png")
    assert len({name for name in names.split(", ") if name.startswith("cifar100/")}) == 5
    with Image.open(path) as picture:
        assert picture.size == (2 * (6 * 34 + 8), 2 * 5 * 34)


def test_what_is_not_here_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("omniglot", "--root", tmp_path, "--out", tmp_path) == 2
    assert (
        f"expected data sets that are below {tmp_path}, got omniglot; see metanas data list" in capsys.readouterr().err
    )
    assert list(tmp_path.iterdir()) == []


def test_the_pictures_of_the_page_are_there_and_small() -> None:
    shown = re.findall(r"\]\(images/(episode_\w+\.png)\)", PAGE.read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(path.name for path in (ROOT / "docs" / "images").glob("episode_*.png"))
    for name in shown:
        assert (ROOT / "docs" / "images" / name).stat().st_size < 60_000
