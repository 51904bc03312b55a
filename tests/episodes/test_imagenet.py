"""miniImageNet and tieredImageNet, made small in each of their layouts."""

import io
import json
import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from tasks import DataError, Dataset
from tasks.sources import mini_imagenet as mini
from tasks.sources import tiered_imagenet as tiered
from tasks.sources.mini_imagenet import mini_imagenet, ravi_split
from tasks.sources.tiered_imagenet import ren_split, tiered_imagenet
from tasks.split import SPLITS, refuse_seen

PER_CLASS = 4
FEW = {"train": 3, "validation": 1, "test": 2}
Images = dict[str, NDArray[np.uint8]]
"""WordNet number -> images `[PER_CLASS, 84, 84, 3]`."""
PNG_PARTS = {"train": "train", "validation": "val", "test": "test"}
Split = dict[str, list[str]]


def synset(name: str) -> str:
    return name.removeprefix("imagenet/")


def few_classes(module: object, patch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Split, Images]:
    """Makes the list of `module` short, and draws images of its classes."""
    split = json.loads(module.LIST.read_text(encoding="utf-8"))  # type: ignore[attr-defined]
    few = {part: split[part][:number] for part, number in FEW.items()}
    (tmp_path / "few.json").write_text(json.dumps(few), encoding="utf-8")
    patch.setattr(module, "LIST", tmp_path / "few.json")
    rng = np.random.default_rng(0)
    names = [name for part in few.values() for name in part]
    return few, {name: rng.integers(0, 256, (PER_CLASS, 84, 84, 3), dtype=np.uint8) for name in names}


def png(pixels: NDArray[np.uint8]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "png", compress_level=1)
    return content.getvalue()


def as_pickles(folder: Path, split: Split, images: Images, protocol: int = 2, validation: str = "validation") -> None:
    """As learn2learn distributes miniImageNet, images in no order of classes."""
    for part, names in split.items():
        rows = {name: list(range(i, PER_CLASS * len(names), len(names))) for i, name in enumerate(names)}
        data = np.stack([images[name] for name in names], axis=1).reshape(-1, 84, 84, 3)
        file = folder / f"mini-imagenet-cache-{validation if part == 'validation' else part}.pkl"
        file.write_bytes(pickle.dumps({"image_data": data, "class_dict": rows}, protocol=protocol))


def as_class_folders(folder: Path, split: Split, images: Images) -> None:
    for part, names in split.items():
        for name in names:
            path = folder / PNG_PARTS[part] / name
            path.mkdir(parents=True)
            for i, pixels in enumerate(images[name]):
                (path / f"{name}_{i}.jpg").write_bytes(png(pixels))


def as_one_folder(folder: Path, split: Split, images: Images) -> None:
    (folder / "images").mkdir()
    for name, of_class in images.items():
        for i, pixels in enumerate(of_class):
            (folder / "images" / f"{name}{i:08d}.jpg").write_bytes(png(pixels))


def as_png_pickles(folder: Path, split: Split, images: Images, prefix: str = "") -> None:
    """As the authors of tieredImageNet published it, classes in no order."""
    names = {name: f"class, of {name}" for name in images}
    (folder / f"{prefix}synsets.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    (folder / f"{prefix}class_names.txt").write_text("".join(f"{x}\n" for x in names.values()), encoding="utf-8")
    for part, of_part in split.items():
        order = of_part[::-1]
        numbers = np.arange(len(order)).repeat(PER_CLASS).astype(np.int32)
        contents = [np.frombuffer(png(pixels), np.uint8)[:, None] for name in order for pixels in images[name]]
        said = {"label_specific": numbers, "label_specific_str": [names[name] for name in order], "label_general": []}
        for kind, content in (("images_png", contents), ("labels", said)):
            file = folder / f"{prefix}{PNG_PARTS[part]}_{kind}.pkl"
            file.write_bytes(pickle.dumps(content, protocol=2))


@pytest.fixture
def small_mini(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Split, Images]:
    """An empty folder for miniImageNet, and what belongs there."""
    monkeypatch.setattr(mini, "PER_CLASS", PER_CLASS)
    folder = tmp_path / "data" / "mini-imagenet"
    folder.mkdir(parents=True)
    return (folder, *few_classes(mini, monkeypatch, tmp_path))


@pytest.fixture
def small_tiered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Split, Images]:
    """An empty folder for tieredImageNet, and what belongs there."""
    folder = tmp_path / "data" / "tiered-imagenet"
    folder.mkdir(parents=True)
    few, images = few_classes(tiered, monkeypatch, tmp_path)
    monkeypatch.setattr(tiered, "CARD", replace(tiered.CARD, count=PER_CLASS * len(images)))
    return (folder, few, images)


def assert_holds(data: Dataset, split: Split, images: Images) -> None:
    """That `data` has these classes, and of each these images, to the bit."""
    assert {part: list(map(synset, data.split[part])) for part in SPLITS} == split
    assert len(data.bank.classes) == len(images)
    for name, pixels in images.items():
        found = data.bank.images_of(f"imagenet/{name}")
        assert torch.equal(found, torch.from_numpy(pixels).permute(0, 3, 1, 2))


def told(read: Callable[..., Dataset], folder: Path, **options: object) -> str:
    """Why it is not read, in one line."""
    with pytest.raises(DataError) as caught:
        read(folder.parent, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_splits_have_the_published_sizes() -> None:
    for split, sizes in ((ravi_split(), [64, 16, 20]), (ren_split(), [351, 97, 160])):
        assert [len(split[part]) for part in SPLITS] == sizes
        assert len({*split.train, *split.validation, *split.test}) == sum(sizes)
        assert all(name.startswith("imagenet/n") and len(name) == 18 for part in SPLITS for name in split[part])


def test_no_run_on_one_is_judged_by_the_other() -> None:
    ravi, ren = ravi_split(), ren_split()
    with pytest.raises(DataError, match="trains on 5 of them: imagenet/n"):
        refuse_seen(ren.train, "tiered_imagenet", ravi.test, "the test classes of mini_imagenet")
    with pytest.raises(DataError, match="trains on 13 of them: imagenet/n"):
        refuse_seen(ravi.train, "mini_imagenet", ren.test, "the test classes of tiered_imagenet")


@pytest.mark.parametrize("write", [as_pickles, as_class_folders, as_one_folder])
def test_each_layout_of_mini_is_read(small_mini: tuple[Path, Split, Images], write: Callable[..., None]) -> None:
    folder, split, images = small_mini
    write(folder, split, images)
    data = mini_imagenet(folder.parent)
    assert data.name == "mini_imagenet"
    assert_holds(data, split, images)
    assert mini_imagenet(folder.parent, 21).bank.pixels.shape == (6 * PER_CLASS, 3, 21, 21)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_mini_is_read_from_pickles_of_any_age(small_mini: tuple[Path, Split, Images], protocol: int) -> None:
    folder, split, images = small_mini
    as_pickles(folder, split, images, protocol, "val")
    assert_holds(mini_imagenet(folder.parent), split, images)


def test_layouts_give_the_same_smaller_images(small_mini: tuple[Path, Split, Images]) -> None:
    folder, split, images = small_mini
    as_class_folders(folder, split, images)
    folders = mini_imagenet(folder.parent, 28)
    as_pickles(folder, split, images)
    assert torch.equal(mini_imagenet(folder.parent, 28).bank.pixels, folders.bank.pixels)


@pytest.mark.parametrize(("read", "name"), [(mini_imagenet, "miniImageNet"), (tiered_imagenet, "tieredImageNet")])
def test_missing_data_names_each_place(tmp_path: Path, read: Callable[..., Dataset], name: str) -> None:
    message = told(read, tmp_path / "none")
    folder = tmp_path / ("mini-imagenet" if name == "miniImageNet" else "tiered-imagenet")
    assert message.startswith(f"expected {name} in {folder}/")
    assert f" or {folder}/" in message
    assert "https://zenodo.org/records/7978538" in message


def test_a_class_that_a_layout_lacks_is_told(small_mini: tuple[Path, Split, Images]) -> None:
    folder, split, images = small_mini
    lost = split["test"][0]
    as_one_folder(folder, split, images)
    (folder / "images" / f"{lost}00000000.jpg").unlink()
    message = (
        f"expected 4 images of a class in {folder}/images ({lost}), got 3; move {folder} away and run metanas data"
    )
    assert message in told(mini_imagenet, folder)
    as_class_folders(folder, split, images)
    (folder / "test" / lost).rename(folder / "train" / "n0")
    assert f"expected 4 images of a class in {folder}/test/{lost}, got 0" in told(mini_imagenet, folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_data": None}, "expected image_data in PATH, uint8 [n, h, w, 3], got none"),
        ({"image_data": np.zeros((8, 84, 84, 3), np.float32)}, "expected image_data in PATH"),
        ({"image_data": np.zeros((8, 84, 84), np.uint8)}, "expected image_data in PATH"),
        ({"class_dict": [1, 2]}, "expected class_dict in PATH, class -> numbers of images, got none"),
        ({"class_dict": {}}, "expected 4 images of a class in PATH (LOST), got 0 among its 8"),
        ({"class_dict": {"LOST": [0, 1, 2]}}, "expected 4 images of a class in PATH (LOST), got 3 among its 8"),
        ({"class_dict": {"LOST": [5, 6, 7, 8]}}, "expected 4 images of a class in PATH (LOST), got 4 among its 8"),
        ({"class_dict": {"LOST": [-1, 6, 7, 2]}}, "expected 4 images of a class in PATH (LOST), got 4 among its 8"),
        ({"class_dict": {"LOST": ["a", 6, 7, 2]}}, "expected class_dict in PATH"),
    ],
)
def test_a_damaged_pickle_of_mini_is_told(
    small_mini: tuple[Path, Split, Images], change: dict[str, object], message: str
) -> None:
    folder, split, images = small_mini
    as_pickles(folder, split, images)
    path, lost = folder / "mini-imagenet-cache-test.pkl", split["test"][0]
    content = pickle.loads(path.read_bytes()) | change
    if isinstance(content["class_dict"], dict):
        content["class_dict"] = {lost if key == "LOST" else key: rows for key, rows in content["class_dict"].items()}
    path.write_bytes(pickle.dumps(content))
    assert message.replace("PATH", str(path)).replace("LOST", lost) in told(mini_imagenet, folder)
    path.write_bytes(pickle.dumps([1]))
    assert f"expected image_data in {path}" in told(mini_imagenet, folder)
    path.write_bytes(path.read_bytes()[:-1])
    assert f"{path}: expected a pickle of numbers, text and arrays" in told(mini_imagenet, folder)


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(("read", "kind"), [(mini_imagenet, "mini"), (tiered_imagenet, "tiered")])
def test_a_pickle_cannot_run_code(
    small_mini: tuple[Path, Split, Images],
    small_tiered: tuple[Path, Split, Images],
    tmp_path: Path,
    read: Callable[..., Dataset],
    kind: str,
) -> None:
    folder, split, images = small_mini if kind == "mini" else small_tiered
    (as_pickles if kind == "mini" else as_png_pickles)(folder, split, images)
    for path in folder.glob("*.pkl"):
        path.write_bytes(pickle.dumps(Canary(tmp_path / "canary")))
    assert "asks for posix.mkdir, which is refused" in told(read, folder)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("write", ["pickles", "prefixed pickles", "folders"])
def test_each_layout_of_tiered_is_read(small_tiered: tuple[Path, Split, Images], write: str) -> None:
    folder, split, images = small_tiered
    if write == "folders":
        as_class_folders(folder, split, images)
    else:
        as_png_pickles(folder, split, images, "tiered-imagenet-" if write == "prefixed pickles" else "")
    data = tiered_imagenet(folder.parent)
    assert data.name == "tiered_imagenet"
    assert_holds(data, split, images)


def test_a_corrupt_image_of_tiered_is_told_or_left_out(small_tiered: tuple[Path, Split, Images]) -> None:
    folder, split, images = small_tiered
    as_png_pickles(folder, split, images)
    path, name = folder / "val_images_png.pkl", split["validation"][0]
    contents = pickle.loads(path.read_bytes())
    contents[2] = contents[2][:100]
    path.write_bytes(pickle.dumps(contents))
    assert f"{path} ({name}), image 2: expected an image, got a file that cannot be read" in told(
        tiered_imagenet, folder
    )
    bank = tiered_imagenet(folder.parent, skip_corrupt=True).bank
    assert bank.skipped == (f"{path} ({name}), image 2",)
    assert len(bank.images_of(f"imagenet/{name}")) == PER_CLASS - 1


def test_another_number_of_images_is_told(small_tiered: tuple[Path, Split, Images]) -> None:
    folder, split, images = small_tiered
    as_class_folders(folder, split, images)
    next((folder / "train" / split["train"][0]).iterdir()).unlink()
    assert "expected 24 images of tieredImageNet below" in told(tiered_imagenet, folder)


def lost_name(folder: Path) -> str:
    (folder / "synsets.txt").write_text("n1\n", encoding="utf-8")
    return f"expected as many lines in {folder}/class_names.txt as in {folder}/synsets.txt, got 6 and 1"


def other_names(folder: Path) -> str:
    (folder / "class_names.txt").write_text("x\n" * 6, encoding="utf-8")
    return f"expected images of a class in {folder}/train_images_png.pkl ("


def no_text(folder: Path) -> str:
    (folder / "class_names.txt").write_bytes(b"\xff\xfe")
    return f"expected the names of classes in {folder}/class_names.txt, got none ("


def few_labels(folder: Path) -> str:
    said = {"label_specific": np.zeros(2, np.int32), "label_specific_str": ["a"]}
    (folder / "train_labels.pkl").write_bytes(pickle.dumps(said))
    return f"expected one of 1 classes in {folder}/train_labels.pkl for each of 12 images, got 2 numbers from 0 to 0"


def wild_labels(folder: Path) -> str:
    said = {"label_specific": np.full(12, -1), "label_specific_str": ["a", "b", "c"]}
    (folder / "train_labels.pkl").write_bytes(pickle.dumps(said))
    return "for each of 12 images, got 12 numbers from -1 to -1"


def other_labels(folder: Path) -> str:
    (folder / "train_labels.pkl").write_bytes(pickle.dumps({"label_specific": [1], "label_specific_str": ["a"]}))
    return f"expected label_specific and label_specific_str in {folder}/train_labels.pkl, got others"


def no_images(folder: Path) -> str:
    (folder / "train_images_png.pkl").write_bytes(pickle.dumps([1, 2]))
    return f"expected a list of images in {folder}/train_images_png.pkl, got none"


@pytest.mark.parametrize("damage", [lost_name, other_names, no_text, few_labels, wild_labels, other_labels, no_images])
def test_damaged_files_of_tiered_are_told(
    small_tiered: tuple[Path, Split, Images], damage: Callable[[Path], str]
) -> None:
    folder, split, images = small_tiered
    as_png_pickles(folder, split, images)
    message = damage(folder)
    found = told(tiered_imagenet, folder)
    assert message in found
    assert f"; move {folder} away and put tiered-imagenet-*" in found
