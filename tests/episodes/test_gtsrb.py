"""GTSRB in class folders made here, with few images a class."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from tasks import DataError
from tasks.decode import decode
from tasks.sources import gtsrb as source
from tasks.sources.gtsrb import CARD, IMAGES, counts, gtsrb, meta_dataset_split
from tasks.stream import stream


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory whose classes have two and three images of unequal sizes, beside their annotations."""
    lists = json.loads(source.LIST.read_text(encoding="utf-8"))
    lists["test"] = {name: 2 + i % 2 for i, name in enumerate(lists["test"])}
    monkeypatch.setattr(source, "LIST", tmp_path / "few.json")
    source.LIST.write_text(json.dumps(lists), encoding="utf-8")
    monkeypatch.setattr(source, "CARD", replace(CARD, count=sum(lists["test"].values())))
    rng = stream(0, "signs")
    for i, count in enumerate(lists["test"].values()):
        path = tmp_path / "data" / IMAGES / f"{i:05d}"
        path.mkdir(parents=True)
        (path / f"GT-{i:05d}.csv").write_text("Filename;Width;Height\n")
        for n in range(count):
            pixels = torch.randint(256, (15 + n, 20, 3), generator=rng).byte().numpy()
            Image.fromarray(pixels).save(path / f"00000_{n:05d}.ppm")
    return tmp_path / "data"


def test_the_division_is_that_of_meta_dataset() -> None:
    split = meta_dataset_split()
    assert (split.train, split.validation, len(split.test)) == ((), (), 43)
    assert split.test[14] == "gtsrb/14.Stop"
    assert [int(name.removeprefix("gtsrb/").split(".")[0]) for name in split.test] == list(range(43))


def test_the_published_counts_add_up() -> None:
    assert sum(counts().values()) == CARD.count == 39_209
    assert (min(counts().values()), max(counts().values())) == (210, 2250)


def test_class_folders_are_read(root: Path) -> None:
    data = gtsrb(root, 12)
    assert data.bank.classes == meta_dataset_split().test == data["test"].classes
    assert data.bank.counts.tolist() == [2 + i % 2 for i in range(43)]
    written = sorted((root / IMAGES / "00014").glob("*.ppm"))
    assert torch.equal(
        data.bank.images_of("gtsrb/14.Stop"), torch.stack([decode(path, (3, 12, 12)) for path in written])
    )
    for split in ("train", "validation"):
        with pytest.raises(DataError, match=f"gtsrb: the {split} split has no classes"):
            data[split]


def test_the_unpacked_archive_is_read(root: Path, tmp_path: Path) -> None:
    (archive,) = CARD.archives
    with zipfile.ZipFile(tmp_path / archive.name, "w") as packed:
        for path in (root / "GTSRB").rglob("*.ppm"):
            packed.write(path, path.relative_to(root))
    archive.unpack(tmp_path / archive.name, tmp_path / "unpacked")
    assert torch.equal(gtsrb(tmp_path / "unpacked", 8).bank.pixels, gtsrb(root, 8).bank.pixels)


def test_missing_data_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"expected GTSRB in {tmp_path}/GTSRB, got nothing there; run metanas data fet"):
        gtsrb(tmp_path)


def lost_image(path: Path) -> None:
    (path / "00000_00001.ppm").unlink()


def lost_class(path: Path) -> None:
    path.rename(path.with_name("99999"))


def truncated(path: Path) -> None:
    file = path / "00000_00001.ppm"
    file.write_bytes(file.read_bytes()[:200])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lost_image, "expected 2 images of a class in PATH, got 1; move ROOT/GTSRB away and run metanas data fetch"),
        (lost_class, "expected 2 images of a class in PATH, got 0; move ROOT/GTSRB away and run metanas data fetch"),
        (truncated, "PATH/00000_00001.ppm: expected an image, got a file that cannot be read"),
    ],
)
def test_a_damaged_class_is_told_in_one_line(root: Path, damage: Callable[[Path], None], message: str) -> None:
    path = root / IMAGES / "00014"
    damage(path)
    with pytest.raises(DataError) as caught:
        gtsrb(root)
    assert message.replace("PATH", str(path)).replace("ROOT", str(root)) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_corrupt_image_may_be_left_out(root: Path) -> None:
    path = root / IMAGES / "00014"
    truncated(path)
    data = gtsrb(root, skip_corrupt=True)
    assert data.bank.skipped == (str(path / "00000_00001.ppm"),)
    assert len(data.bank.images_of("gtsrb/14.Stop")) == 1


def test_a_class_list_that_names_more_than_there_is_is_refused(root: Path) -> None:
    lists = json.loads(source.LIST.read_text(encoding="utf-8"))
    lists["test"]["43.Horse"] = 2
    source.LIST.write_text(json.dumps(lists), encoding="utf-8")
    with pytest.raises(DataError, match=f"expected 2 images of a class in {root / IMAGES}/00043, got 0"):
        gtsrb(root)
