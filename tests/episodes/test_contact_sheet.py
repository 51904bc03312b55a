from pathlib import Path

import pytest
import torch
from PIL import Image

from tasks import DataError, EpisodeSampler, ImageBank, TaskSpec
from tasks.contact_sheet import contact_sheet, sheet_of_episode


def bank(channels: int = 1) -> ImageBank:
    images = {
        name: torch.full((count, channels, 4, 5), 10 * i, dtype=torch.uint8)
        for i, (name, count) in enumerate({"a": 3, "b": 2, "c": 4}.items(), start=1)
    }
    return ImageBank.from_classes("made", images)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_a_class_is_a_row(tmp_path: Path, channels: int, mode: str) -> None:
    contact_sheet(bank(channels), tmp_path / "x.png", classes=["c", "b"], per_class=3)
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.mode == mode
        assert picture.size == (3 * 7, 2 * 6)
        grey = picture.convert("L")
    assert grey.getpixel((0, 0)) == 30
    assert grey.getpixel((4, 9)) == 20
    assert grey.getpixel((5, 0)) == 96  # the gap
    assert grey.getpixel((14, 6)) == 0  # b has no third image


def test_classes_may_be_counted_and_pixels_zoomed(tmp_path: Path) -> None:
    contact_sheet(bank(), tmp_path / "x.png", classes=2, per_class=1, zoom=3)
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.size == (3 * 7, 2 * 6 * 3)
        assert [picture.getpixel((0, y)) for y in (0, 18)] == [10, 20]


def test_the_glyphs_have_a_picture(tmp_path: Path) -> None:
    from tasks.sources.glyphs import characters, draw_classes

    few = dict(list(characters()["test"].items())[:3])
    contact_sheet(draw_classes(few, 28, 0), tmp_path / "glyphs.png")
    with Image.open(tmp_path / "glyphs.png") as picture:
        assert picture.size == (20 * 30, 3 * 30)


def test_an_episode_is_its_classes_support_before_query() -> None:
    noise = torch.randint(256, (3, 9, 3, 4, 5), generator=torch.Generator().manual_seed(0)).byte()
    images = ImageBank.from_classes("noise", dict(zip("abc", noise, strict=True)))
    sampler = EpisodeSampler(images, TaskSpec(3, 2, 4, (3, 4, 5)), 0)
    sheet = sheet_of_episode(sampler[5])
    assert sheet.shape == (3, 3 * 6, 2 * 7 + 8 + 4 * 7)
    bytes_of = sampler.pixels([5])
    for row in range(3):
        for column in range(6):
            batch, place, left = (
                (bytes_of.support, 2 * row + column, 7 * column)
                if column < 2
                else (bytes_of.query, 4 * row + column - 2, 7 * column + 8)
            )
            assert torch.equal(sheet[:, 6 * row : 6 * row + 4, left : left + 5], batch.x[0, place])
    assert bool((sheet[:, :, 14:22] == 96).all())


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    with pytest.raises(DataError, match="made: expected classes of this bank, got 'z'; name one of its own"):
        contact_sheet(bank(), path, classes=["z"])
    with pytest.raises(DataError, match="made: a contact sheet needs classes, got none"):
        contact_sheet(bank(), path, classes=[])
    with pytest.raises(DataError, match="per_class >= 1 and zoom >= 1, got 0 and 1"):
        contact_sheet(bank(), path, per_class=0)
    with pytest.raises(DataError, match="made: a picture has 1 or 3 channels, got 2"):
        contact_sheet(bank(2), path)
    assert not path.exists()
