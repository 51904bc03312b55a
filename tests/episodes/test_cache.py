import logging
import resource
from pathlib import Path

import pytest
import torch

from tasks import DataError, ImageBank
from tasks.cache import cached
from tasks.data_root import cache_root, data_root


class Maker:
    """Makes a bank and counts how often it had to."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> ImageBank:
        self.calls += 1
        pixels = torch.arange(2000, dtype=torch.int32).byte().view(20, 1, 10, 10)
        return ImageBank.from_classes("made", {"a": pixels[:12], "b": pixels[12:]})


@pytest.fixture
def make() -> Maker:
    return Maker()


def test_the_second_time_is_read(make: Maker, tmp_path: Path) -> None:
    first = cached(tmp_path / "new" / "cache", "x", {"seed": 0}, make)
    second = cached(tmp_path / "new" / "cache", "x", {"seed": 0}, make)
    assert make.calls == 1
    assert torch.equal(first.pixels, second.pixels)
    assert torch.equal(first.starts, second.starts)
    assert torch.equal(first.counts, second.counts)
    assert (first.name, first.classes, first.skipped) == (second.name, second.classes, second.skipped)


def test_one_file_is_left(make: Maker, tmp_path: Path) -> None:
    cached(tmp_path, "x", {"seed": 0}, make)
    assert [entry.suffix for entry in tmp_path.iterdir()] == [".bank"]


def test_another_key_is_another_file(make: Maker, tmp_path: Path) -> None:
    cached(tmp_path, "x", {"seed": 0}, make)
    cached(tmp_path, "x", {"seed": 1}, make)
    assert make.calls == 2
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_of_another_format_is_left_alone(make: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.cache._FORMAT", 2)
    cached(tmp_path, "x", {}, make)
    (old,) = tmp_path.iterdir()
    monkeypatch.undo()
    bank = cached(tmp_path, "x", {}, make)
    assert make.calls == 2
    assert torch.equal(bank.pixels, make().pixels)
    assert old.exists()


def test_no_cache_makes_it_anew(make: Maker) -> None:
    cached(None, "x", {}, make)
    cached(None, "x", {}, make)
    assert make.calls == 2


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped"])
def test_a_damaged_file_is_rebuilt_and_said(
    make: Maker, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    good = cached(tmp_path, "x", {}, make).pixels.clone()  # the file under its memory is damaged
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 1
    path.write_bytes(data[: {"truncated": len(data) // 2, "empty": 0, "flipped": len(data)}[damage]])
    with caplog.at_level(logging.WARNING):
        again = cached(tmp_path, "x", {}, make)
    assert make.calls == 2
    assert f"{path} is damaged" in caplog.text
    assert torch.equal(good, again.pixels)
    cached(tmp_path, "x", {}, make)
    assert make.calls == 2


def test_a_directory_that_cannot_be_written_is_named_before_the_work(make: Maker, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    message = r"cache directory that can be written, got .*/file/cache \(Not a dir"
    with pytest.raises(DataError, match=message) as caught:
        cached(tmp_path / "file" / "cache", "x", {}, make)
    assert "\n" not in str(caught.value)
    assert make.calls == 0


def test_a_failed_write_is_an_error_and_leaves_nothing(make: Maker, tmp_path: Path) -> None:
    cached(tmp_path, "x", {}, make)
    (path,) = tmp_path.iterdir()
    path.unlink()
    path.mkdir()  # a directory where the file belongs: the rename fails, even for root
    with pytest.raises(DataError, match="expected a cache directory that can be written"):
        cached(tmp_path, "x", {}, make)
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_an_error_and_leaves_older_files_alone(make: Maker, tmp_path: Path) -> None:
    old = cached(tmp_path, "x", {"seed": 0}, make)
    (path,) = tmp_path.iterdir()
    before = path.read_bytes()

    def larger() -> ImageBank:
        return ImageBank.from_classes("larger", {"a": torch.zeros(300_000, 1, 1, 1, dtype=torch.uint8)})

    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, limit[1]))  # as good as a disk that fills up on the way
    try:
        with pytest.raises(DataError) as caught:
            cached(tmp_path, "x", {"seed": 1}, larger)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert str(caught.value) == (
        f"expected a cache directory that can be written, got {tmp_path} (File too large); "
        "set METANAS_CACHE to another one"
    )
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before
    assert torch.equal(cached(tmp_path, "x", {"seed": 0}, make).pixels, old.pixels)
    assert make.calls == 1
    assert len(cached(tmp_path, "x", {"seed": 1}, larger)) == 300_000  # there is room again


def test_data_root_is_the_configured_one_then_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METANAS_DATA", "/from/environment")
    assert data_root("/configured") == Path("/configured")
    assert data_root(None) == Path("/from/environment")
    monkeypatch.delenv("METANAS_DATA")
    with pytest.raises(DataError, match=r"set data\.root=DIR or the environment variable METANAS_DATA"):
        data_root(None)


def test_cache_root_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METANAS_CACHE", "/chosen")
    assert cache_root() == Path("/chosen")
    monkeypatch.delenv("METANAS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_root() == Path("/xdg/metanas")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_root() == Path.home() / ".cache" / "metanas"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_root() == Path.home() / ".cache" / "metanas"
