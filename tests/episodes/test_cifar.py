"""CIFAR-100 and the two data sets made of it."""

import hashlib
import pickle
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tasks import DataError, Dataset
from tasks.decode import decode
from tasks.sources import cifar100
from tasks.sources.cifar100 import BATCHES, CARD, FOLDERS, superclasses
from tasks.sources.cifar_fs import bertinetto_split, cifar_fs
from tasks.sources.fc100 import fc100, oreshkin_split
from tasks.split import SPLITS, ClassSplit

NAMES = sorted(name for group in superclasses().values() for name in group)
REMEDY = "run metanas data fetch cifar_fs, or unpack https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"


def folder_of(root: Path, name: str) -> Path:
    return root / FOLDERS / name.removeprefix("cifar100/")


def write_batches(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The class folders of `root` once more as batches: of each class three images in `train`, one in `test`."""
    from tasks._compat import torchvision

    def write(name: str, content: dict[str, object]) -> list[str]:
        (root / BATCHES / name).write_bytes(pickle.dumps(content))
        return [name, hashlib.md5((root / BATCHES / name).read_bytes()).hexdigest()]

    def batch(name: str, numbers: range) -> list[str]:
        labelled = [
            (decode(folder_of(root, name) / f"{i}.png", (3, 32, 32)), label)
            for i in numbers
            for label, name in enumerate(NAMES)
        ]
        data = torch.stack([pixels for pixels, _ in labelled]).flatten(1).numpy()
        return write(name, {"data": data, "fine_labels": [label for _, label in labelled]})

    (root / BATCHES).mkdir()
    reader = torchvision.datasets.CIFAR100
    monkeypatch.setattr(reader, "train_list", [batch("train", range(3))])
    monkeypatch.setattr(reader, "test_list", [batch("test", range(3, 4))])
    labels = [name.removeprefix("cifar100/") for name in NAMES]
    name, md5 = write("meta", {"fine_label_names": labels})
    monkeypatch.setattr(reader, "meta", {"filename": name, "key": "fine_label_names", "md5": md5})
    return root


@pytest.mark.parametrize(("split", "sizes"), [(bertinetto_split(), [64, 16, 20]), (oreshkin_split(), [60, 20, 20])])
def test_a_split_has_the_published_sizes_and_leaves_no_class_out(split: ClassSplit, sizes: list[int]) -> None:
    assert [len(split[name]) for name in SPLITS] == sizes
    assert sorted(split.train + split.validation + split.test) == NAMES
    assert len(set(NAMES)) == 100


def test_fc100_divides_whole_superclasses_and_cifar_fs_does_not() -> None:
    def shared(split: ClassSplit) -> int:
        groups = [{group for group, classes in superclasses().items() if set(classes) & set(split[s])} for s in SPLITS]
        return sum(map(len, groups)) - len(set.union(*groups))

    assert {len(group) for group in superclasses().values()} == {5}
    assert shared(oreshkin_split()) == 0
    assert shared(bertinetto_split()) > 0


@pytest.mark.parametrize(("make", "name", "test_class"), [(cifar_fs, "cifar_fs", "worm"), (fc100, "fc100", "bee")])
def test_class_folders_are_read(small_cifar: Path, make: Callable[..., Dataset], name: str, test_class: str) -> None:
    data = make(small_cifar)
    assert data.name == name
    assert data.bank.classes == tuple(NAMES)
    assert data.bank.pixels.shape == (400, 3, 32, 32)
    assert f"cifar100/{test_class}" in data["test"].classes
    written = {decode(path, (3, 32, 32)).numpy().tobytes() for path in folder_of(small_cifar, test_class).iterdir()}
    assert {x.numpy().tobytes() for x in data.bank.images_of(f"cifar100/{test_class}")} == written


@pytest.mark.parametrize("resolution", [32, 9])
def test_both_layouts_give_the_same_bits(small_cifar: Path, monkeypatch: pytest.MonkeyPatch, resolution: int) -> None:
    folders = cifar100.cifar100(small_cifar, resolution)
    write_batches(small_cifar, monkeypatch)
    assert CARD.find(small_cifar) == (BATCHES,)
    batches = cifar100.cifar100(small_cifar, resolution)
    assert batches.classes == folders.classes
    assert batches.pixels.shape == (400, 3, resolution, resolution)
    assert torch.equal(batches.pixels, folders.pixels)


def test_both_data_sets_share_one_cached_bank(small_cifar: Path, tmp_path: Path) -> None:
    first = cifar_fs(small_cifar, cache=tmp_path / "cache")
    for path in (small_cifar / FOLDERS / "apple").iterdir():
        path.unlink()  # would be refused if it were read again
    second = fc100(small_cifar, cache=tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert torch.equal(first.bank.pixels, second.bank.pixels)
    with pytest.raises(DataError, match="expected 4 images of a class in .*/apple, got 0"):
        fc100(small_cifar, 16, cache=tmp_path / "cache")


@pytest.mark.parametrize("make", [cifar_fs, fc100])
def test_missing_data_names_both_places_and_the_origin(tmp_path: Path, make: Callable[..., Dataset]) -> None:
    with pytest.raises(DataError) as caught:
        make(tmp_path)
    message = str(caught.value)
    assert f"expected CIFAR-100 in {tmp_path / BATCHES} or {tmp_path / FOLDERS}, got nothing there; {REMEDY}" in message
    assert "\n" not in message


def test_an_impossible_resolution_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="CIFAR-100 needs a resolution of at least 1 pixel, got 0; try 32"):
        cifar_fs(tmp_path, resolution=0)


def lost_image(path: Path) -> None:
    (path / "2.png").unlink()


def lost_class(path: Path) -> None:
    path.rename(path.with_name("not_a_class"))


def one_too_many(path: Path) -> None:
    (path / "4.png").write_bytes((path / "3.png").read_bytes())


def corrupt(path: Path) -> None:
    (path / "2.png").write_bytes(b"not a picture")


def truncated(path: Path) -> None:
    (path / "2.png").write_bytes((path / "2.png").read_bytes()[:1500])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lost_image, f"expected 4 images of a class in PATH, got 3; move FOLDERS away and {REMEDY}"),
        (lost_class, f"expected 4 images of a class in PATH, got 0; move FOLDERS away and {REMEDY}"),
        (one_too_many, f"expected 4 images of a class in PATH, got 5; move FOLDERS away and {REMEDY}"),
        (corrupt, "PATH/2.png: expected an image, got a file that cannot be read"),
        (truncated, "PATH/2.png: expected an image, got a file that cannot be read"),
    ],
)
def test_a_damaged_class_is_told_in_one_line(small_cifar: Path, damage: Callable[[Path], None], message: str) -> None:
    path = folder_of(small_cifar, "cifar100/otter")
    damage(path)
    with pytest.raises(DataError) as caught:
        cifar_fs(small_cifar)
    assert message.replace("PATH", str(path)).replace("FOLDERS", str(path.parent)) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["train", "test", "meta"])
def test_a_damaged_batch_is_told_in_one_line(small_cifar: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_batches(small_cifar, monkeypatch) / BATCHES
    content = (path / name).read_bytes()
    for damaged in (content[:-1], content[:50] + b"\0" + content[51:], b"", None):
        if damaged is None:
            (path / name).unlink()
        else:
            (path / name).write_bytes(damaged)
        with pytest.raises(DataError) as caught:
            cifar_fs(small_cifar)
        message = str(caught.value)
        found = "no file" if damaged is None else hashlib.md5(damaged).hexdigest()
        assert message == (
            f"expected {path / name} with md5 {hashlib.md5(content).hexdigest()}, got {found}; "
            f"move {path} away and {REMEDY} in the data directory"
        )
        assert "\n" not in message


def test_the_unpacked_archive_is_read(small_cifar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_batches(small_cifar, monkeypatch)
    (archive,) = CARD.archives
    with tarfile.open(tmp_path / archive.name, "w:gz") as tar:
        tar.add(small_cifar / BATCHES, BATCHES)
    archive.unpack(tmp_path / archive.name, tmp_path / "unpacked")
    assert torch.equal(cifar_fs(tmp_path / "unpacked").bank.pixels, cifar_fs(small_cifar).bank.pixels)


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.mkdir, (self.path,)


def test_a_batch_cannot_run_code(tmp_path: Path) -> None:
    (tmp_path / BATCHES).mkdir()
    for name in ("train", "test", "meta"):
        (tmp_path / BATCHES / name).write_bytes(pickle.dumps(Canary(tmp_path / "canary")))
    with pytest.raises(DataError, match="train with md5 16019d7e3df5f24257cddd939b257f8d, got "):
        fc100(tmp_path)
    assert not (tmp_path / "canary").exists()
    pickle.loads((tmp_path / BATCHES / "meta").read_bytes())  # a plain pickle would have run it
    assert (tmp_path / "canary").exists()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def real_cifar(real_data: Path) -> Path:
    if CARD.find(real_data) is None:
        pytest.skip(f"METANAS_DATA={real_data} holds no CIFAR-100; {CARD.origin}")
    return real_data


def means(pixels: Tensor) -> list[float]:
    return (pixels.float().mean((0, 2, 3)) / 255).tolist()


@pytest.mark.data
@pytest.mark.slow
def test_real_cifar_100_is_whole(real_cifar: Path, cache: Path) -> None:
    data = cifar_fs(real_cifar, cache=cache)
    assert data.bank.pixels.shape == (60000, 3, 32, 32)
    assert set(data.bank.counts.tolist()) == {600}
    assert means(data.bank.pixels) == pytest.approx([0.507, 0.487, 0.441], abs=0.002)  # red, green, blue
    assert [len(data[name].classes) for name in SPLITS] == [64, 16, 20]
    assert [len(fc100(real_cifar, cache=cache)[name].classes) for name in SPLITS] == [60, 20, 20]
    assert len(list(cache.iterdir())) == 1


@pytest.mark.data
@pytest.mark.perf
def test_real_cifar_100_is_ready_in_two_seconds(real_cifar: Path, cache: Path) -> None:
    cifar_fs(real_cifar, cache=cache)
    began = time.perf_counter()
    data = fc100(real_cifar, cache=cache)
    assert len(data["train"].classes) == 60
    assert time.perf_counter() - began < 2
