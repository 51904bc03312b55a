"""EMNIST in idx files made here, packed as published and unpacked as torchvision leaves them."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tasks import DataError, Dataset
from tasks.mixture import check_mixable
from tasks.sources import emnist
from tasks.sources.emnist import BALANCED, BYCLASS, PACKED, RAW, Kind, cross_split, emnist_balanced, emnist_byclass
from tasks.stream import stream

DIGITS, UPPER, LOWER = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
CHARACTERS: dict[Kind, str] = {"balanced": DIGITS + UPPER + "abdefghnqrt", "byclass": DIGITS + UPPER + LOWER}
MAKERS: dict[Kind, Callable[..., Dataset]] = {"balanced": emnist_balanced, "byclass": emnist_byclass}
SIZES = {"train": 2, "test": 1}
"""Images of a class in each part."""


def idx(data: Tensor) -> bytes:
    """The idx format: two zero bytes, the type (8 for uint8), how many axes, their sizes, the data."""
    sizes = b"".join(size.to_bytes(4, "big") for size in data.shape)
    return bytes([0, 0, 8, data.ndim]) + sizes + data.numpy().tobytes()


def images(kind: Kind, part: str) -> Tensor:
    """Upright images; image `i` is of class `i % classes`."""
    count = SIZES[part] * len(CHARACTERS[kind])
    return torch.randint(256, (count, 28, 28), generator=stream(0, kind, part)).byte()


def write(root: Path, layout: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = root / layout
    folder.mkdir(parents=True)
    for kind, characters in CHARACTERS.items():
        counts = tuple(SIZES[part] * len(characters) for part in ("train", "test"))
        monkeypatch.setitem(emnist.COUNTS, kind, counts)
        card = {"balanced": "BALANCED", "byclass": "BYCLASS"}[kind]
        monkeypatch.setattr(emnist, card, replace(getattr(emnist, card), count=sum(counts)))
        for part in SIZES:
            labels = torch.arange(len(characters)).repeat(SIZES[part]).byte()
            contents = {"images-idx3": images(kind, part).transpose(1, 2).contiguous(), "labels-idx1": labels}
            for name, content in contents.items():
                file = folder / f"emnist-{kind}-{part}-{name}-ubyte"
                if layout == PACKED:
                    file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(idx(content), 1))
                else:
                    file.write_bytes(idx(content))
    return root


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("layout", [PACKED, RAW])
def test_images_are_upright_and_of_their_character(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind, layout: str
) -> None:
    data = MAKERS[kind](write(tmp_path, layout, monkeypatch))
    characters = CHARACTERS[kind]
    assert data.name == f"emnist_{kind}"
    assert data.bank.classes == tuple(f"emnist/{c}" for c in characters)
    assert data.bank.image == (1, 28, 28)
    for label, name in enumerate(data.bank.classes):
        both = torch.cat([images(kind, part)[label :: len(characters)] for part in SIZES])
        assert torch.equal(data.bank.images_of(name)[:, 0], both)
    assert "emnist/1" in data["test"].classes
    with pytest.raises(DataError, match=f"emnist_{kind}: the train split has no classes"):
        data["train"]


def test_the_division_is_every_second_class_of_the_published_order() -> None:
    split = cross_split("byclass")
    assert (split.train, len(split.validation), len(split.test)) == ((), 31, 31)
    for i, character in enumerate(CHARACTERS["byclass"]):
        assert f"emnist/{character}" in (split.test if i % 2 else split.validation)
    balanced = cross_split("balanced")
    assert set(balanced.validation) < set(split.validation)
    assert set(balanced.test) < set(split.test)
    assert len(balanced.validation + balanced.test) == 47


def test_no_letter_is_on_both_sides() -> None:
    for kind in MAKERS:
        split = cross_split(kind)
        assert not {name.lower() for name in split.validation} & {name.lower() for name in split.test}


def test_both_divisions_may_stand_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path, RAW, monkeypatch)
    check_mixable([emnist_balanced(root, 4), emnist_byclass(root, 4)])


def test_missing_data_names_both_places(tmp_path: Path) -> None:
    for card in (BALANCED, BYCLASS):
        with pytest.raises(DataError) as caught:
            card.require(tmp_path)
        assert f"expected EMNIST in {tmp_path / PACKED} or {tmp_path / RAW}, got nothing there" in str(caught.value)


IMAGES, LABELS = "emnist-balanced-test-images-idx3-ubyte", "emnist-balanced-test-labels-idx1-ubyte"


def shorten(content: bytes) -> bytes:
    return content[:-1]


def keep_nothing(content: bytes) -> bytes:
    return b""


def strange_type(content: bytes) -> bytes:
    return content[:2] + b"\x07" + content[3:]


def other_axes(content: bytes) -> bytes:
    return idx(torch.zeros(2, 2, dtype=torch.uint8))


def fewer(content: bytes) -> bytes:
    return idx(images("balanced", "test")[:-1])


def relabel(content: bytes) -> bytes:
    return content[:-1] + bytes([47])


def repeat_a_label(content: bytes) -> bytes:
    return content[:-1] + bytes([0])


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        (IMAGES, shorten, "expected FILE to be a whole idx file, got one that cannot be read; move "),
        (IMAGES, keep_nothing, "expected FILE to be a whole idx file, got one that cannot be read; move "),
        (IMAGES, strange_type, "expected FILE to be a whole idx file, got one that cannot be read; move "),
        (IMAGES, other_axes, "expected FILE to be a whole idx file, got one that cannot be read; move "),
        (LABELS, other_axes, "expected FILE to be a whole idx file, got one that cannot be read; move "),
        (IMAGES, fewer, "expected 47 images in FILE, got 46; move "),
        (LABELS, relabel, "expected labels from 0 to 46, got 47; move "),
        (LABELS, repeat_a_label, "expected images of every class, got none of emnist/t; move "),
    ],
)
def test_a_damaged_file_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, damage: Callable[[bytes], bytes], message: str
) -> None:
    file = write(tmp_path, RAW, monkeypatch) / RAW / name
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError) as caught:
        emnist_balanced(tmp_path)
    assert message.replace("FILE", str(file)) in str(caught.value)
    assert f"move {file.parent} away and run metanas data fetch " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0, 10, 2000])
def test_a_truncated_packed_file_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: int
) -> None:
    file = write(tmp_path, PACKED, monkeypatch) / PACKED / f"{IMAGES}.gz"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(DataError, match=f"expected {file} to be a whole idx file, got one that cannot be read; move "):
        emnist_balanced(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, PACKED, monkeypatch) / PACKED / f"{LABELS}.gz"
    file.unlink()
    with pytest.raises(DataError, match=f"expected {file.with_suffix('')} or {file.name}, got neither; move "):
        emnist_balanced(tmp_path)
