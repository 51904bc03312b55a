from pathlib import Path

import pytest
import torch
from PIL import Image

from tasks import DataError, Dataset
from tasks.sources.omniglot import PER_CLASS, omniglot, vinyals_split
from tasks.split import SPLITS

FIRST = vinyals_split().train[0]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def data(real_data: Path, cache: Path) -> Dataset:
    return omniglot(real_data, cache=cache)


def test_the_split_has_the_published_sizes() -> None:
    split = vinyals_split()
    assert [len(split[name]) for name in SPLITS] == [1028, 172, 423]
    assert FIRST == "images_background/Alphabet_of_the_Magi/character01"


def test_missing_data_names_the_folder_and_its_origin(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        omniglot(tmp_path)
    message = str(caught.value)
    assert f"expected Omniglot in {tmp_path}/omniglot-py/images_background, got nothing there" in message
    assert "brendenlake/omniglot" in message
    assert "; run metanas data fetch omniglot, or unpack " in message
    assert "\n" not in message
    (tmp_path / "omniglot-py" / "images_background").mkdir(parents=True)
    with pytest.raises(DataError, match=r"images_evaluation, got nothing there; run .* unpack .*images_eval.*zip"):
        omniglot(tmp_path)


@pytest.mark.parametrize("count", [0, 19])
def test_an_incomplete_character_is_named(tmp_path: Path, count: int) -> None:
    for part in ("images_background", "images_evaluation"):
        (tmp_path / "omniglot-py" / part).mkdir(parents=True)
    path = tmp_path / "omniglot-py" / FIRST
    path.mkdir(parents=True)
    for i in range(count):
        Image.new("1", (105, 105), 1).save(path / f"0001_{i:02d}.png")
    message = f"expected {PER_CLASS} images of a class in {path}, got {count}; move {tmp_path}/omniglot-py away and run"
    with pytest.raises(DataError, match=message):
        omniglot(tmp_path)


def test_an_impossible_resolution_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="resolution of at least 1 pixel, got 0; try 105"):
        omniglot(tmp_path, resolution=0)


@pytest.mark.data
def test_real_omniglot_is_whole(data: Dataset) -> None:
    assert len(data.bank.classes) == 1623
    assert data.bank.pixels.shape == (32460, 1, 28, 28)
    assert [len(data[name].classes) for name in SPLITS] == [1028, 172, 423]


@pytest.mark.data
def test_real_ink_is_bright_on_black(data: Dataset) -> None:
    assert float(data.bank.pixels.float().mean()) < 0.15 * 255
    assert int(data.bank.pixels[:, 0, 0, 0].float().median()) == 0
    assert int(data.bank.pixels.flatten(1).amax(1).min()) > 100


@pytest.mark.data
def test_real_omniglot_is_read_from_its_cache(data: Dataset, real_data: Path, cache: Path) -> None:
    again = omniglot(real_data, cache=cache)
    assert len(list(cache.iterdir())) == 1
    assert torch.equal(data.bank.pixels, again.bank.pixels)
