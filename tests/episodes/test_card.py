from dataclasses import replace
from pathlib import Path

import pytest

from tasks import DataError
from tasks.card import Card
from tasks.catalogue import CARDS

CARD = Card(
    title="Things",
    channels=(1,),
    licence="none",
    layouts=(("packed",), ("loose/train", "loose/test")),
    origin="unpack things.zip",
)


def make(root: Path, *folders: str) -> None:
    for folder in folders:
        (root / folder).mkdir(parents=True)


def test_the_first_layout_that_is_whole_is_found(tmp_path: Path) -> None:
    assert CARD.find(tmp_path) is None
    make(tmp_path, "loose/train")
    assert CARD.find(tmp_path) is None
    make(tmp_path, "loose/test")
    assert CARD.require(tmp_path) == CARD.find(tmp_path) == ("loose/train", "loose/test")
    make(tmp_path, "packed")
    assert CARD.require(tmp_path) == ("packed",)


def test_a_layout_may_need_files(tmp_path: Path) -> None:
    card = replace(CARD, layouts=(("packed", "packed/labels.txt"),))
    make(tmp_path, "packed")
    with pytest.raises(DataError, match=r"expected Things in .*packed/labels.txt, got nothing there"):
        card.require(tmp_path)
    (tmp_path / "packed" / "labels.txt").touch()
    assert card.find(tmp_path) == ("packed", "packed/labels.txt")


def test_the_folder_that_each_layout_lacks_is_named(tmp_path: Path) -> None:
    make(tmp_path, "loose/train")
    with pytest.raises(DataError) as caught:
        CARD.require(tmp_path)
    places = f"{tmp_path}/packed or {tmp_path}/loose/test"
    assert str(caught.value) == f"expected Things in {places}, got nothing there; unpack things.zip"


@pytest.mark.parametrize(
    ("name", "classes", "images"),
    [
        ("glyphs", (1224, 75, 177), 29520),
        ("omniglot", (1028, 172, 423), 32460),
        ("cifar_fs", (64, 16, 20), 60000),
        ("fc100", (60, 20, 20), 60000),
        ("mini_imagenet", (64, 16, 20), 60000),
        ("tiered_imagenet", (351, 97, 160), 779165),
        ("cub", (100, 50, 50), 11788),
        ("cub_feat", (100, 50, 50), 11788),
        ("aircraft", (70, 15, 15), 10000),
        ("vgg_flowers", (71, 15, 16), 8189),
        ("dtd", (33, 7, 7), 5640),
        ("cifar10", None, 60000),
        ("svhn", None, 73257 + 26032),
        ("emnist_balanced", (0, 22, 25), 47 * 2800),
        ("emnist_byclass", (0, 31, 31), 814255),
        ("gtsrb", (0, 0, 43), 39209),
        ("folder", None, None),
    ],
)
def test_the_published_numbers_are_counted(name: str, classes: tuple[int, ...] | None, images: int | None) -> None:
    assert (CARDS[name].classes, CARDS[name].images) == (classes, images)
    assert replace(CARDS[name], split=None, count=None, parts=None).images is None
