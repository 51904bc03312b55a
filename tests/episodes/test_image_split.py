"""Data sets divided by image: CIFAR-10 and SVHN, read through torchvision's readers from files made here."""

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy
import pytest
import scipy.io
import torch
from torch import Tensor

from tasks import DataError, ImageBank
from tasks.catalogue import IMAGE_READERS, ImageReader
from tasks.image_split import PARTS, ImageSplit
from tasks.labelled import by_class
from tasks.sources.cifar10 import CARD as CIFAR10
from tasks.sources.cifar10 import cifar10
from tasks.sources.svhn import svhn
from tasks.stream import stream

from ..conftest import CIFAR10_NAMES, write_cifar10

SIZES = {"train": 40, "test": 20}


class Made(NamedTuple):
    """A data directory with a small data set."""

    root: Path
    read: ImageReader
    pixels: dict[str, Tensor]
    """Of each part, uint8 `[n, 3, 32, 32]`, in the order of the files; image `i` is of class `i % 10`."""
    names: list[str]
    damaged: Path
    """A file that every part needs, or the training part."""


def noise(part: str) -> Tensor:
    return torch.randint(256, (SIZES[part], 3, 32, 32), generator=stream(0, part)).byte()


def md5(file: Path) -> str:
    return hashlib.md5(file.read_bytes()).hexdigest()


def make_cifar10(root: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    pixels = {part: noise(part) for part in PARTS}
    folder = write_cifar10(root, pixels, monkeypatch)
    return Made(root, cifar10, pixels, [f"cifar10/{name}" for name in CIFAR10_NAMES], folder / "data_batch_1")


def make_svhn(root: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    from tasks._compat import torchvision

    (root / "svhn").mkdir(parents=True)
    pixels, lists = {part: noise(part) for part in PARTS}, {}
    for part in PARTS:
        file = root / "svhn" / f"{part}_32x32.mat"
        labels = numpy.array([[i % 10 or 10] for i in range(SIZES[part])], dtype=numpy.uint8)
        scipy.io.savemat(file, {"X": pixels[part].permute(2, 3, 1, 0).numpy(), "y": labels}, do_compression=True)
        lists[part] = ["", file.name, md5(file)]
    monkeypatch.setattr(torchvision.datasets.SVHN, "split_list", lists)
    return Made(root, svhn, pixels, [f"svhn/{digit}" for digit in range(10)], root / "svhn" / "train_32x32.mat")


MAKERS = {"cifar10": make_cifar10, "svhn": make_svhn}


@pytest.fixture(params=MAKERS.values(), ids=MAKERS)
def made(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    return request.param(tmp_path / "data", monkeypatch)


def test_every_source_divided_by_image_is_tested_here() -> None:
    assert set(MAKERS) == set(IMAGE_READERS)


def test_both_parts_show_the_same_classes_and_their_own_images(made: Made) -> None:
    data = made.read(made.root)
    for part in PARTS:
        assert data[part].name == f"{data.name}/{part}"
        assert list(data[part].classes) == made.names
        assert data[part].image == (3, 32, 32)
        for label, name in enumerate(made.names):
            assert torch.equal(data[part].images_of(name), made.pixels[part][label::10])


def test_images_are_averaged_down(made: Made) -> None:
    data = made.read(made.root, 16)
    assert data.train.image == (3, 16, 16)
    whole = made.pixels["train"][::10].float()
    averaged = torch.nn.functional.avg_pool2d(whole, 2)
    assert (
        float((data.train.images_of(made.names[0]).float() - averaged).abs().max()) <= 1
    )  # Pillow rounds rows, then columns


def test_both_parts_are_cached(made: Made, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = made.read(made.root, cache=cache)
    assert sorted(path.name.split("-")[1] for path in cache.iterdir()) == ["test", "train"]
    made.damaged.unlink()  # would be missed if it were read again
    again = made.read(made.root, cache=cache)
    for part in PARTS:
        assert torch.equal(first[part].pixels, again[part].pixels)
        assert first[part].classes == again[part].classes


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)


def run_code(file: Path) -> None:
    file.write_bytes(pickle.dumps(Canary(file.with_name("canary"))))


class Canary:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.mkdir, (self.path,)


@pytest.mark.parametrize("damage", [truncate, flip, run_code])
def test_a_damaged_file_is_refused_by_name(made: Made, damage: Callable[[Path], None]) -> None:
    before, file = md5(made.damaged), made.damaged
    damage(file)
    with pytest.raises(DataError) as caught:
        made.read(made.root)
    assert str(caught.value).startswith(
        f"expected {file} with md5 {before}, got {md5(file)}; move {file.parent} away and run metanas data fetch "
    )
    assert "\n" not in str(caught.value)
    assert not file.with_name("canary").exists()


def test_a_missing_file_is_named(made: Made) -> None:
    made.damaged.unlink()
    with pytest.raises(DataError, match=f"expected .*{made.damaged}.*, got no.*; .*run metanas data fetch "):
        made.read(made.root)


@pytest.mark.parametrize("name", IMAGE_READERS)
def test_missing_data_says_how_to_get_it(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"got nothing there; run metanas data fetch {name}, or "):
        IMAGE_READERS[name](tmp_path)
    with pytest.raises(DataError, match="resolution of at least 1 pixel, got 0; try 32"):
        IMAGE_READERS[name](tmp_path, 0)


def bank(classes: str, side: int = 4) -> ImageBank:
    return ImageBank.from_classes("x", {c: torch.zeros(2, 1, side, side, dtype=torch.uint8) for c in classes})


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (bank("abc"), bank("ab"), "x: training and test images must show the same classes, got 'c' in one of them"),
        (bank("ab"), bank("ba"), "got another order of classes"),
        (bank("ab"), bank("ab", 5), r"must have one size, got \[1, 4, 4\] and \[1, 5, 5\]"),
    ],
)
def test_parts_that_do_not_fit_are_refused(train: ImageBank, test: ImageBank, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ImageSplit("x", train, test)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1], r"expected a label for each of 3 images, got \(2,\); mend it"),
        ([0, 1, 2], "expected labels from 0 to 1, got 2; mend it"),
        ([0, -1, 0], "expected labels from 0 to 1, got -1; mend it"),
        ([0, 0, 0], "expected images of every class, got none of b; mend it"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        by_class(torch.zeros(3, 1, 2, 2).byte(), torch.tensor(labels), ["a", "b"], (1, 2, 2), remedy="mend it")


@pytest.mark.data
@pytest.mark.slow
def test_real_cifar_10_is_whole(real_data: Path) -> None:
    if CIFAR10.find(real_data) is None:
        pytest.skip(f"METANAS_DATA={real_data} holds no CIFAR-10; {CIFAR10.origin}")
    data = cifar10(real_data)
    assert list(data.train.classes) == [f"cifar10/{name}" for name in CIFAR10_NAMES]
    assert (set(data.train.counts.tolist()), set(data.test.counts.tolist())) == ({5000}, {1000})
    means = (data.train.pixels.float().mean((0, 2, 3)) / 255).tolist()
    assert means == pytest.approx([0.4914, 0.4822, 0.4465], abs=1e-4)  # red, green, blue, as usually given
