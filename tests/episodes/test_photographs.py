"""Published photographs, each data set made small in the layout of its archives."""

import json
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from tasks import DataError, Dataset
from tasks.archive import checksum
from tasks.card import Card
from tasks.decode import decode
from tasks.sources import aircraft, cub, cub_feat, dtd, vgg_flowers
from tasks.split import SPLITS

PER_CLASS = 3
FEW = {"train": 3, "validation": 1, "test": 2}
Files = dict[str, list[Path]]
"""Class name without its data set -> where its images are to be written."""


def class_folders(folder: str) -> Callable[[Path, Sequence[str]], Files]:
    """As most archives are made."""
    return lambda root, names: {
        name: [root / folder / "images" / name / f"{i}.jpg" for i in range(PER_CLASS)] for name in names
    }


def aircraft_files(root: Path, names: Sequence[str]) -> Files:
    data = root / "fgvc-aircraft-2013b" / "data"
    data.mkdir(parents=True)
    numbers = {name: [f"{1000 * j + i:07d}" for i in range(PER_CLASS)] for j, name in enumerate(names)}
    for part, chosen in (("trainval", slice(0, 2)), ("test", slice(2, None))):
        lines = [f"{number} {name}\n" for name, of_class in numbers.items() for number in of_class[chosen]]
        (data / f"images_variant_{part}.txt").write_text("".join(lines), encoding="utf-8")
    return {name: [data / "images" / f"{number}.jpg" for number in of_class] for name, of_class in numbers.items()}


def flower_files(root: Path, names: Sequence[str]) -> Files:
    """Flowers lie in any order."""
    labels = [int(name[:3]) for _ in range(PER_CLASS) for name in names]
    (root / "flowers-102").mkdir(parents=True)
    savemat(root / vgg_flowers.LABELS, {"labels": np.array([labels], dtype=np.uint8)}, do_compression=True)
    files = [root / vgg_flowers.IMAGES / f"image_{i:05d}.jpg" for i in range(1, len(labels) + 1)]
    return {name: files[j :: len(names)] for j, name in enumerate(names)}


@dataclass(frozen=True)
class Kind:
    """A data set, and how its archives lay it out."""

    module: ModuleType
    read: Callable[..., Dataset]
    files: Callable[[Path, Sequence[str]], Files]
    sizes: tuple[int, int, int]
    lost: str
    """What is said when the first image of a class is away."""

    @property
    def card(self) -> Card:
        card: Card = self.module.CARD
        return card


KINDS = {
    "cub": Kind(cub, cub.cub, class_folders("CUB_200_2011"), (100, 50, 50), "expected 18 images of CUB-200-2011 below"),
    "aircraft": Kind(aircraft, aircraft.aircraft, aircraft_files, (70, 15, 15), "expected an image, got a file that"),
    "vgg_flowers": Kind(
        vgg_flowers, vgg_flowers.vgg_flowers, flower_files, (71, 15, 16), "expected an image, got a file that"
    ),
    "dtd": Kind(dtd, dtd.dtd, class_folders("dtd/dtd"), (33, 7, 7), "expected 3 images of a class in"),
}
EACH = pytest.mark.parametrize("name", KINDS)


def picture(seed: int) -> Image.Image:
    """Noise, wider than high."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8))


@dataclass(frozen=True)
class Small:
    """A small copy of a data set."""

    root: Path
    files: Files
    read: Callable[..., Dataset]
    card: Card


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Small]:
    """Makes the data set of a name, with FEW of its classes."""

    def make(name: str) -> Small:
        kind, lists = KINDS[name], tmp_path / f"{name}.json"
        split = json.loads(kind.module.LIST.read_text(encoding="utf-8"))
        few = {part: split[part][:number] for part, number in FEW.items()}
        if name == "aircraft":
            few["train"] = ["F-16A/B", *few["train"][1:]]
        lists.write_text(json.dumps(few), encoding="utf-8")
        names = [label for part in few.values() for label in part]
        card = replace(kind.card, count=PER_CLASS * len(names)) if kind.card.count else kind.card
        monkeypatch.setattr(kind.module, "LIST", lists)
        monkeypatch.setattr(kind.module, "CARD", card)
        if kind.card.per_class:
            monkeypatch.setattr(kind.module, "PER_CLASS", PER_CLASS)
        files = kind.files(tmp_path / "data", names)
        for seed, path in enumerate(path for paths in files.values() for path in paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(seed).save(path, quality=90)
        return Small(tmp_path / "data", files, kind.read, card)

    return make


def told(small: Small, **options: object) -> str:
    """Why it is not read, in one line."""
    with pytest.raises(DataError) as caught:
        small.read(small.root, 12, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@EACH
def test_the_split_has_the_published_sizes_and_each_class_one_name(name: str) -> None:
    kind = KINDS[name]
    split = kind.card.split() if kind.card.split else None
    assert split
    assert tuple(len(split[part]) for part in SPLITS) == kind.card.classes == kind.sizes
    classes = split.train + split.validation + split.test
    assert len(set(classes)) == sum(kind.sizes)
    assert all(label.startswith(f"{name}/") for label in classes)


@EACH
def test_the_published_layout_is_read(small: Callable[[str], Small], name: str) -> None:
    made = small(name)
    data = made.read(made.root, 12)
    assert data.name == name
    assert [len(data[part].classes) for part in SPLITS] == [3, 1, 2]
    assert data.bank.pixels.shape == (6 * PER_CLASS, 3, 12, 12)
    assert data.bank.classes == tuple(sorted(f"{name}/{label}" for label in made.files))
    if name != "aircraft":
        for label, paths in made.files.items():
            expected = torch.stack([decode(path, (3, 12, 12)) for path in sorted(paths)])
            assert torch.equal(data.bank.images_of(f"{name}/{label}"), expected)


@EACH
def test_a_second_start_reads_the_cache(small: Callable[[str], Small], name: str, tmp_path: Path) -> None:
    made = small(name)
    first = made.read(made.root, 12, tmp_path / "cache")
    for path in next(iter(made.files.values())):
        path.unlink()
    assert torch.equal(made.read(made.root, 12, tmp_path / "cache").bank.pixels, first.bank.pixels)
    told(made, cache=None)


@EACH
def test_missing_data_names_the_place_and_the_verb(tmp_path: Path, name: str) -> None:
    kind = KINDS[name]
    with pytest.raises(DataError) as caught:
        kind.read(tmp_path)
    place = tmp_path / kind.card.layouts[0][0]
    expected = f"expected {kind.card.title} in {place}, got nothing there; run metanas data fetch {name}, or "
    assert str(caught.value).startswith(expected)
    with pytest.raises(DataError, match="resolution of at least 1 pixel, got 0; try 84"):
        kind.read(tmp_path, 0)


@EACH
def test_a_lost_image_is_told(small: Callable[[str], Small], name: str) -> None:
    made = small(name)
    next(iter(made.files.values()))[0].unlink()
    assert KINDS[name].lost in told(made)


@EACH
def test_a_corrupt_image_is_told_or_left_out(small: Callable[[str], Small], name: str) -> None:
    made = small(name)
    whole = made.read(made.root, 12).bank
    path = next(iter(made.files.values()))[0]
    path.write_bytes(path.read_bytes()[:300])
    assert f"{path}: expected an image, got a file that cannot be read" in told(made)
    bank = made.read(made.root, 12, skip_corrupt=True).bank
    assert bank.skipped == (str(path),)
    assert len(bank.pixels) == len(whole.pixels) - 1


@EACH
def test_an_image_that_was_mended_is_seen(small: Callable[[str], Small], name: str, tmp_path: Path) -> None:
    """What had to be left out is not kept in the cache."""
    made = small(name)
    path = next(iter(made.files.values()))[0]
    content = path.read_bytes()
    path.write_bytes(content[:300])
    assert made.read(made.root, 12, tmp_path / "cache", skip_corrupt=True).bank.skipped == (str(path),)
    path.write_bytes(content)
    assert not made.read(made.root, 12, tmp_path / "cache", skip_corrupt=True).bank.skipped
    assert len(list((tmp_path / "cache").iterdir())) == 1


@EACH
def test_a_class_without_a_readable_image_is_told(small: Callable[[str], Small], name: str) -> None:
    made = small(name)
    for path in next(iter(made.files.values())):
        path.write_bytes(b"no image")
    assert f"expected images that can be read, got none of {PER_CLASS}; replace them" in told(made, skip_corrupt=True)


@pytest.mark.parametrize("name", ["cub", "dtd"])
def test_a_class_that_the_list_names_and_the_data_lacks_is_told(small: Callable[[str], Small], name: str) -> None:
    made = small(name)
    folder = next(iter(made.files.values()))[0].parent
    folder.rename(folder.with_name("another"))
    wanted = "images" if name == "cub" else "3 images"
    message = (
        f"expected {wanted} of a class in {folder}, got 0; move {made.root / made.card.layouts[0][0]} away and run"
    )
    assert message in told(made)


@EACH
def test_the_unpacked_archives_are_read(small: Callable[[str], Small], name: str, tmp_path: Path) -> None:
    made = small(name)
    for published in made.card.archives:
        file = tmp_path / published.name
        source = made.root / published.place
        if source.is_dir():
            with tarfile.open(file, "w:gz") as tar:
                tar.add(source, source.name)
        else:
            file.write_bytes(source.read_bytes())
        archive = replace(published, md5=checksum(file))
        archive.verify(file)
        archive.unpack(file, tmp_path / "unpacked")
        assert archive.is_present(tmp_path / "unpacked")
    unpacked = made.read(tmp_path / "unpacked", 12)
    assert torch.equal(unpacked.bank.pixels, made.read(made.root, 12).bank.pixels)


def test_urls_and_checksums_are_those_of_torchvision() -> None:
    from tasks._compat import torchvision

    sets = torchvision.datasets
    flowers, textures, planes = sets.Flowers102, sets.DTD, sets.FGVCAircraft
    urls = {key: flowers._download_url_prefix + file for key, (file, _) in flowers._file_dict.items()}
    published = {urls[key]: flowers._file_dict[key][1] for key in ("image", "label")}
    assert {archive.url: archive.md5 for archive in vgg_flowers.CARD.archives} == published
    assert {archive.url: archive.md5 for archive in dtd.CARD.archives} == {textures._URL: textures._MD5}
    assert [archive.url for archive in aircraft.CARD.archives] == [planes._URL]


def test_the_names_of_flowers_are_those_of_torchvision() -> None:
    from tasks._compat import torchvision

    names = torchvision.datasets.Flowers102.classes
    split = vgg_flowers.meta_dataset_split()
    for label in split.train + split.validation + split.test:
        number, _, flower = label.removeprefix("vgg_flowers/").partition(".")
        assert names[int(number) - 1].rstrip("?").replace("'", "") == flower.rstrip("?").replace("'", "")


def test_the_owner_of_an_aircraft_is_cut_off(small: Callable[[str], Small]) -> None:
    made = small("aircraft")
    path = made.files["F-16A/B"][0]
    blank = Image.new("RGB", (50, 40), "white")
    blank.paste((0, 0, 0), (0, 40 - aircraft.BANNER, 50, 40))
    blank.save(path.with_suffix(".png"))
    path.with_suffix(".png").rename(path)  # black below, without the blur of a JPEG
    image = made.read(made.root, 12).bank.images_of("aircraft/F-16A/B")[0]
    assert int(image.min()) == 255
    assert int(decode(path, (3, 12, 12)).min()) == 0


ANNOTATIONS = "fgvc-aircraft-2013b/data/images_variant_test.txt"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "expected annotations in PATH, got none ("),
        (b"\xff\xfe", "expected annotations in PATH, got none ("),
        (b"0000000\n", "expected an image and its variant in PATH, line 1, got '0000000'; move"),
        (b"one 707-320\n", "expected an image and its variant in PATH, line 1, got 'one 707-320'; move"),
        (b"", "expected 3 images of a class in"),
    ],
)
def test_damaged_annotations_of_aircraft_are_told(
    small: Callable[[str], Small], content: bytes | None, message: str
) -> None:
    made = small("aircraft")
    path = made.root / ANNOTATIONS
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert message.replace("PATH", str(path)) in told(made)


def test_damaged_labels_of_flowers_are_told(small: Callable[[str], Small]) -> None:
    made = small("vgg_flowers")
    path = made.root / vgg_flowers.LABELS
    whole = path.read_bytes()
    for content in (b"", b"no labels", whole[:100], whole[:-20], whole[:140] + bytes(10) + whole[150:]):
        path.write_bytes(content)
        assert f"expected the labels of VGG Flowers in {path}, got none (" in told(made)
    savemat(path, {"others": [1]})
    assert "got none ('labels'); move" in told(made)
    savemat(path, {"labels": [[int(next(iter(made.files))[:3])] * 6 * PER_CLASS]})
    assert f"expected images of a class in {path} (vgg_flowers/" in told(made)


def test_two_divisions_share_the_birds(
    small: Callable[[str], Small], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chen, ye = cub.chen_split(), cub_feat.ye_split()
    assert sorted(chen.train + chen.validation + chen.test) == sorted(ye.train + ye.validation + ye.test)
    assert set(chen.train) & set(ye.test)  # so that a run with one is not judged by the other
    made = small("cub")
    monkeypatch.setattr(cub_feat, "LIST", cub.LIST)
    first, second = made.read(made.root, 12, tmp_path / "cache"), cub_feat.cub_feat(made.root, 12, tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert torch.equal(first.bank.pixels, second.bank.pixels)
    assert second["test"].name == "cub_feat/test"
