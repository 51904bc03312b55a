import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from tasks import DataError
from tasks.decode import Decoder, decode
from tasks.sources.folder import divide, folder, is_labelled, read_folder, read_unlabelled

IMAGE = (1, 8, 8)


SHADES = itertools.cycle(range(256))


def write(path: Path, value: int | None = None, mode: str = "L", size: tuple[int, int] = (8, 8)) -> Path:
    """A picture of one shade, of another one each time unless `value` is given."""
    value = next(SHADES) if value is None else value
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value, value, value)).save(path)
    return path


def test_classes_are_read_in_the_order_of_names(tmp_path: Path) -> None:
    write(tmp_path / "dog" / "2.png", 20)
    write(tmp_path / "dog" / "1.PNG", 10)
    write(tmp_path / "cat" / "x.bmp", 30)
    found = read_folder(tmp_path, Decoder(IMAGE))
    assert list(found) == ["cat", "dog"]
    assert [(file.name, int(x[0, 0, 0])) for file, x in found["dog"]] == [("1.PNG", 10), ("2.png", 20)]
    assert found["cat"][0][1].shape == IMAGE
    assert found["cat"][0][1].dtype == torch.uint8


def test_hidden_files_and_other_files_are_passed_over(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name / "1.png")
        for other in (".DS_Store", "Thumbs.db", "README.txt", "._1.png"):
            (tmp_path / name / other).write_bytes(b"no image")
            (tmp_path / other).write_bytes(b"no image")
    (tmp_path / ".git").mkdir()
    (tmp_path / "__MACOSX").mkdir()
    assert {name: len(part) for name, part in read_folder(tmp_path, Decoder(IMAGE)).items()} == {"a": 1, "b": 1}


def test_three_folders_are_the_split(tmp_path: Path) -> None:
    for split, names in {"train": "ab", "validation": "cd", "test": "ef"}.items():
        for name in names:
            write(tmp_path / split / name / "1.png")
    data = folder(tmp_path, IMAGE)
    assert data.name == tmp_path.name
    assert (data.split.train, data.split.validation, data.split.test) == (("a", "b"), ("c", "d"), ("e", "f"))
    assert data["test"].classes == ("e", "f")


def test_class_folders_are_divided_by_the_seed(tmp_path: Path) -> None:
    for i in range(25):
        write(tmp_path / f"c{i:02d}" / "1.png")
    split = folder(tmp_path, IMAGE, seed=1).split
    assert (len(split.train), len(split.validation), len(split.test)) == (16, 4, 5)
    assert split == folder(tmp_path, IMAGE, seed=1).split
    assert split != folder(tmp_path, IMAGE, seed=2).split


def test_a_division_loses_no_class() -> None:
    for count in range(2, 40):
        names = tuple(map(str, range(count)))
        split = divide(names, 0)
        assert sorted(split.train + split.validation + split.test) == sorted(names)


def test_unlabelled_images_are_read_in_the_order_of_names(tmp_path: Path) -> None:
    write(tmp_path / "b.png", 2)
    write(tmp_path / "a.png", 1)
    assert [int(x[0, 0, 0]) for _, x in read_unlabelled(tmp_path, Decoder(IMAGE))] == [1, 2]
    assert not is_labelled(tmp_path)
    write(tmp_path / "class" / "c.png")
    assert is_labelled(tmp_path)


def missing(root: Path) -> None:
    root.rmdir()


def a_file(root: Path) -> None:
    root.rmdir()
    root.write_text("a file")


def nothing(root: Path) -> None:
    pass


def one_class(root: Path) -> None:
    write(root / "only" / "1.png")


def empty_class(root: Path) -> None:
    write(root / "full" / "1.png")
    (root / "hollow").mkdir()
    (root / "hollow" / "README.txt").write_text("nothing here")


def loose_image(root: Path) -> None:
    write(root / "a" / "1.png")
    write(root / "b" / "1.png")
    write(root / "lost.png")


def corrupt(root: Path) -> None:
    write(root / "a" / "1.png")
    write(root / "b" / "1.png").write_bytes(b"not a picture")


def truncated(root: Path) -> None:
    write(root / "a" / "1.png")
    path = write(root / "b" / "1.png", mode="RGB", size=(200, 200))
    path.write_bytes(path.read_bytes()[:150])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (missing, "data: expected a directory of images, got nothing there; check the path"),
        (a_file, "data: expected a directory of images, got a file; check the path"),
        (nothing, "data: expected one folder for each class, got none"),
        (one_class, "data: expected at least 2 class folders, got 1, first 'only'; add another class"),
        (empty_class, "data/hollow: expected images of this class, got none; add some or remove it"),
        (loose_image, "data: expected class folders alone, got 1 images beside them, first lost.png; move"),
        (corrupt, "data/b/1.png: expected an image, got a file that cannot be read"),
        (truncated, "data/b/1.png: expected an image, got a file that cannot be read"),
    ],
)
def test_a_bad_folder_is_told_in_one_line(tmp_path: Path, damage: Callable[[Path], None], message: str) -> None:
    root = tmp_path / "data"
    root.mkdir()
    damage(root)
    for read in (lambda: read_folder(root, Decoder(IMAGE)), lambda: folder(root, IMAGE)):
        with pytest.raises(DataError) as caught:
            read()
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_one_class_may_be_allowed(tmp_path: Path) -> None:
    one_class(tmp_path)
    assert list(read_folder(tmp_path, Decoder(IMAGE), least_classes=1)) == ["only"]


def test_no_unlabelled_images_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(DataError, match=r"expected images \(png, jpg, jpeg, bmp, gif, webp, ppm\), got none"):
        read_unlabelled(tmp_path, Decoder(IMAGE))


def test_a_missing_split_folder_is_named(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for name in "ab":
            write(tmp_path / split / f"{split}{name}" / "1.png")
    with pytest.raises(DataError, match="folders train, validation and test, got no validation; add it"):
        folder(tmp_path, IMAGE)


def test_a_class_in_two_splits_is_a_leak(tmp_path: Path) -> None:
    for split in ("train", "validation", "test"):
        write(tmp_path / split / "same" / "1.png")
        write(tmp_path / split / f"own-{split}" / "1.png")
    with pytest.raises(DataError, match="splits must share no class"):
        folder(tmp_path, IMAGE)


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "bmp", "gif", "webp", "ppm"])
def test_every_format_is_decoded(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"x.{suffix}", 200, "RGB", (30, 20))
    x = decode(path, (3, 8, 10))
    assert x.shape == (3, 8, 10)
    assert int((x.int() - 200).abs().max()) <= 2


def test_channels_are_what_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "red.png"
    Image.new("RGB", (8, 8), (255, 0, 0)).save(path)
    assert decode(path, (3, 8, 8))[:, 0, 0].tolist() == [255, 0, 0]
    assert decode(path, (1, 8, 8))[:, 0, 0].tolist() == [76]  # ITU-R 601 luma
    with pytest.raises(DataError, match="expected to give 1 or 3 channels, asked for 4"):
        decode(path, (4, 8, 8))


def test_rows_are_rows_and_shrinking_averages(tmp_path: Path) -> None:
    picture = Image.new("L", (4, 2))
    picture.putpixel((3, 0), 255)
    picture.save(tmp_path / "x.png")
    assert decode(tmp_path / "x.png", (1, 2, 4))[0].tolist() == [[0, 0, 0, 255], [0, 0, 0, 0]]
    assert decode(tmp_path / "x.png", (1, 1, 2))[0].tolist() == [[0, 64]]


def test_transparency_shows_paper(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    picture.putpixel((0, 0), (0, 0, 0, 255))
    picture.save(tmp_path / "x.png")
    assert decode(tmp_path / "x.png", IMAGE)[0, 0, :2].tolist() == [0, 255]


def test_sixteen_bits_keep_their_greys(tmp_path: Path) -> None:
    Image.new("I;16", (8, 8), 257 * 100).save(tmp_path / "x.png")
    assert int(decode(tmp_path / "x.png", IMAGE)[0, 0, 0]) == 100


def test_a_palette_with_transparency_is_decoded(tmp_path: Path) -> None:
    picture = Image.new("P", (8, 8), 1)
    picture.putpalette([0, 0, 0, 90, 90, 90])
    picture.save(tmp_path / "x.png", transparency=bytes([0, 255]))
    assert int(decode(tmp_path / "x.png", IMAGE)[0, 0, 0]) == 90


def test_corrupt_files_are_skipped_and_counted_when_asked(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name / "good.png")
    (tmp_path / "a" / "bad.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"a/bad.png: expected an image, got .*data\.skip_corrupt=true"):
        folder(tmp_path, IMAGE)
    bank = folder(tmp_path, IMAGE, skip_corrupt=True).bank
    assert bank.counts.tolist() == [1, 1]
    assert bank.skipped == (str(tmp_path / "a" / "bad.png"),)
    (tmp_path / "a" / "good.png").write_bytes(b"no image either")
    with pytest.raises(DataError, match="a: expected images that can be read, got none"):
        folder(tmp_path, IMAGE, skip_corrupt=True)
