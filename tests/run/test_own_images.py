"""A person's own images on the command line: every mistake is one line, and nothing is left behind."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from metanas.config import Experiment
from metanas.run import build_data


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Nine classes of six coloured pictures, divided 5 / 2 / 2 by hand; one of them is grey."""
    rng = torch.Generator().manual_seed(0)
    for name in "abcdefghi":
        split = "train" if name < "f" else "validation" if name < "h" else "test"
        path = tmp_path / "mine" / split / name
        path.mkdir(parents=True)
        for i, pixels in enumerate(torch.randint(256, (6, 16, 16, 3), generator=rng).byte().numpy()):
            Image.fromarray(pixels).save(path / f"{i}.png")
    grey = tmp_path / "mine" / "train" / "a" / "0.png"
    with Image.open(grey) as picture:
        picture.convert("L").save(grey)
    return tmp_path / "mine"


@pytest.fixture
def settings(mine: Path) -> list[str]:
    return ["data.source=folder", f"data.root={mine}", "data.channels=3"]


def corrupt(root: Path) -> None:
    (root / "train/b/3.png").write_bytes(b"no picture")


def truncated(root: Path) -> None:
    (root / "train/b/3.png").write_bytes((root / "train/b/3.png").read_bytes()[:200])


def empty(root: Path) -> None:
    for path in (root / "train/b").iterdir():
        path.unlink()


def a_copy(root: Path) -> None:
    shutil.copy(root / "train/b/3.png", root / "train/b/4.png")


def a_copy_elsewhere(root: Path) -> None:
    shutil.copy(root / "train/b/3.png", root / "test/h/new.png")


def a_class_twice(root: Path) -> None:
    (root / "test/h").rename(root / "test/b")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (corrupt, "ROOT/train/b/3.png: expected an image, got a file that cannot be read"),
        (truncated, "ROOT/train/b/3.png: expected an image, got a file that cannot be read"),
        (empty, "ROOT/train/b: expected images of this class, got none; add some or remove it"),
        (a_copy, "got train/b/3.png and train/b/4.png with the same pixels at 16 x 16 (copies in all: 1); remove"),
        (a_copy_elsewhere, "got train/b/3.png and test/h/new.png with the same pixels at 16 x 16 (copies in all: 1)"),
        (a_class_twice, "splits must share no class, but train and test share 1, first 'b'; remove it from one of the"),
    ],
)
def test_bad_images_are_one_line(
    metanas,
    mine: Path,
    settings: list[str],
    tiny_overrides: list[str],
    tmp_path: Path,
    damage: Callable[[Path], None],
    message: str,
) -> None:
    damage(mine)
    line = metanas("meta-train", "--out", tmp_path / "run", *tiny_overrides, *settings).line
    assert message.replace("ROOT", str(mine)) in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("damage", "key", "message", "left"),
    [
        (corrupt, "skip_corrupt", "folder: left out 1 file that cannot be read, first ROOT/train/b/3.png", 53),
        (a_copy, "drop_duplicates", "mine: left out 1 of 54 images, copies of others", 53),
        (a_copy_elsewhere, "drop_duplicates", "mine: left out 2 of 55 images, copies of others", 53),
    ],
)
def test_what_is_left_out_is_counted(
    tiny: Callable[..., Experiment],
    mine: Path,
    settings: list[str],
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
    key: str,
    message: str,
    left: int,
) -> None:
    damage(mine)
    with caplog.at_level(logging.WARNING):
        found = build_data.dataset(tiny(*settings, f"data.{key}=true").data)
    assert caplog.messages == [message.replace("ROOT", str(mine))]
    assert len(found.bank) == left


def test_grey_among_colours_becomes_three_equal_channels(
    tiny: Callable[..., Experiment], mine: Path, settings: list[str]
) -> None:
    def is_grey(pixels: torch.Tensor) -> list[bool]:
        return [torch.equal(x[0], x[1]) and torch.equal(x[1], x[2]) for x in pixels]

    found = build_data.dataset(tiny(*settings).data).bank
    assert is_grey(found.images_of("a")) == [True, False, False, False, False, False]
    assert not any(is_grey(found.images_of("b")))
    with Image.open(mine / "train/a/0.png") as picture:
        written = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(16, 16)
    assert torch.equal(found.images_of("a")[0, 0], written)


def test_colours_among_grey_become_luma(tiny: Callable[..., Experiment], mine: Path, settings: list[str]) -> None:
    found = build_data.dataset(tiny(*settings, "data.channels=1").data).bank
    assert found.image == (1, 16, 16)
    with Image.open(mine / "train/b/0.png") as picture:
        red, green, blue = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8).view(-1, 3).double().T
    luma = 0.299 * red + 0.587 * green + 0.114 * blue  # ITU-R 601
    assert float((found.images_of("b")[0].flatten() - luma).abs().max()) <= 1


def test_a_data_set_in_colours_is_not_made_grey(metanas, tmp_path: Path) -> None:
    line = metanas("meta-train", "--out", tmp_path / "run", "data.source=cifar_fs", "data.channels=1").line
    assert line.endswith("data.channels must be 3 for data.source=cifar_fs, got 1")
