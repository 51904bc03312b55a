"""Images that are there more than once."""

import logging
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks import ClassSplit, DataError, Dataset, EpisodeSampler, ImageBank, TaskSpec
from tasks.duplicates import equal_images, without_duplicates
from tasks.sources.cifar_fs import cifar_fs
from tasks.sources.fc100 import fc100
from tasks.sources.folder import folder
from tasks.sources.omniglot import omniglot
from tasks.split import SPLITS

IMAGE = (1, 2, 2)
REMEDY = r"remove the copies, or leave them out with data\.drop_duplicates=true"


def of_shades(classes: dict[str, list[int]]) -> Dataset:
    """Images of one shade each; equal shades are equal images."""
    images = {
        name: torch.tensor(shades, dtype=torch.uint8)[:, None, None, None].expand(-1, *IMAGE)
        for name, shades in classes.items()
    }
    return Dataset("shades", ImageBank.from_classes("shades", images), ClassSplit(tuple(classes), (), ()))


def shades(dataset: Dataset) -> dict[str, list[int]]:
    return {name: dataset.bank.images_of(name)[:, 0, 0, 0].tolist() for name in dataset.bank.classes}


def test_of_equal_images_in_a_class_the_first_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        left = without_duplicates(of_shades({"a": [7, 1, 7, 2, 7], "b": [3, 4]}))
    assert shades(left) == {"a": [7, 1, 2], "b": [3, 4]}
    assert caplog.messages == ["shades: left out 2 of 7 images, copies of others"]


def test_of_equal_images_in_two_classes_none_is_kept() -> None:
    assert shades(without_duplicates(of_shades({"a": [7, 1], "b": [3, 7, 7]}))) == {"a": [1], "b": [3]}


def test_a_data_set_without_duplicates_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    data = of_shades({"a": [1, 2], "b": [3, 4]})
    assert without_duplicates(data) is data
    assert caplog.messages == []


def test_a_class_of_copies_alone_is_refused() -> None:
    with pytest.raises(DataError, match="shades: expected images of 'b' that no other class shows, got none; leave "):
        without_duplicates(of_shades({"a": [1, 2, 3], "b": [3, 1]}))


@settings(max_examples=60, deadline=None, database=None)
@given(st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=12), min_size=2, max_size=5), st.integers(0, 2**40))
def test_no_query_image_equals_a_support_image_afterwards(classes: list[list[int]], index: int) -> None:
    # Shades from 100 on are each class's own, so that enough is left of it.
    data = of_shades({f"c{i}": [*part, 100 + 2 * i, 101 + 2 * i] for i, part in enumerate(classes)})
    left = without_duplicates(data)
    assert equal_images(left.bank.pixels) == []
    assert all(set(kept) <= set(shades(data)[name]) for name, kept in shades(left).items())
    episode = EpisodeSampler(left["train"], TaskSpec(2, 1, 1, IMAGE), 0)[index]
    support, query = (batch.x[:, 0, 0, 0].tolist() for batch in episode)
    assert len({*support, *query}) == 4


def test_equal_images_are_found_in_any_layout() -> None:
    images = torch.randint(256, (6, 3, 4, 5), generator=torch.Generator().manual_seed(0)).byte()
    images[4] = images[1]
    images[5] = images[1]
    assert equal_images(images) == [[1, 4, 5]]
    assert equal_images(images.to(memory_format=torch.channels_last)) == [[1, 4, 5]]
    assert equal_images(images[:, :1].expand(-1, 3, -1, -1)) == [[1, 4, 5]]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for i in range(12):
        path = tmp_path / "mine" / f"class{i // 3}"
        path.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), 20 * i).save(path / f"{i}.png")
    return tmp_path / "mine"


@pytest.mark.parametrize(
    ("other", "named"), [("class0/copy.bmp", "class0/1.png and class0/copy.bmp"), ("class2/1.png", "class0/1.png and")]
)
def test_a_copy_in_a_folder_is_refused_in_one_line(pictures: Path, other: str, named: str) -> None:
    with Image.open(pictures / "class0" / "1.png") as picture:
        picture.save(pictures / other)
    message = rf"{pictures}: expected every image once, got {named}.* with the same pixels at 8 x 8 \(copies in"
    with pytest.raises(DataError, match=f"{message} all: 1\\); {REMEDY}$") as caught:
        folder(pictures, (1, 8, 8))
    assert "\n" not in str(caught.value)
    assert other in str(caught.value)


def test_a_copy_in_another_split_is_refused(tmp_path: Path) -> None:
    for i, split in enumerate(SPLITS):
        for j, name in enumerate("ab"):
            path = tmp_path / split / f"{split}-{name}"
            path.mkdir(parents=True)
            Image.new("L", (8, 8), 50 if name == "b" and split != "validation" else 10 * (2 * i + j)).save(
                path / "1.png"
            )
    with pytest.raises(DataError, match=r"got train/train-b/1\.png and test/test-b/1\.png with the same pixels"):
        folder(tmp_path, (1, 8, 8))


def test_a_folder_may_have_its_copies_left_out(pictures: Path) -> None:
    (pictures / "class0" / "copy.png").write_bytes((pictures / "class0" / "1.png").read_bytes())
    left = without_duplicates(folder(pictures, (1, 8, 8), allow_duplicates=True))
    assert left.bank.counts.tolist() == [3, 3, 3, 3]


def test_the_glyphs_hold_none(glyph_data: Dataset) -> None:
    assert equal_images(glyph_data.bank.pixels) == []


@pytest.mark.data
@pytest.mark.slow
def test_real_omniglot_holds_what_the_page_says(real_data: Path, tmp_path: Path) -> None:
    left = without_duplicates(omniglot(real_data, cache=tmp_path))
    assert len(left.bank) == 32_460 - 1


@pytest.mark.data
@pytest.mark.slow
def test_real_cifar_100_holds_what_the_page_says(real_data: Path, tmp_path: Path) -> None:
    for make, apart in ((cifar_fs, {"test": 6, "validation": 8}), (fc100, {"test": 1, "validation": 2})):
        data = make(real_data, cache=tmp_path)
        split_of = {name: split for split in SPLITS for name in data.split[split]}
        names = [data.bank.classes[i // 600] for i in range(60_000)]
        groups = [[names[i] for i in group] for group in equal_images(data.bank.pixels)]
        assert len(groups) == 26
        assert sum(len(set(group)) == 1 for group in groups) == 9
        shared = [{split_of[name] for name in group} for group in groups]
        assert {split: sum({"train", split} == pair for pair in shared) for split in apart} == apart
        assert len(without_duplicates(data).bank) == 60_000 - 9 - 2 * 17
