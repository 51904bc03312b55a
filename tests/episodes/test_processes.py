"""Banks in several processes: one copy of the pixels, and the same bits."""

import multiprocessing
import warnings
from pathlib import Path

import pytest
import torch
from torch import multiprocessing as torch_multiprocessing

from tasks import EpisodeSampler, ImageBank, TaskSpec
from tasks.cache import cached

IMAGE = (1, 64, 64)
SPEC = TaskSpec(5, 1, 2, IMAGE)
SMAPS = Path("/proc/self/smaps")


def bank() -> ImageBank:
    """A megabyte of noise."""
    rng = torch.Generator().manual_seed(0)
    return ImageBank.from_classes(
        "noise", {f"c{i}": torch.randint(256, (32, *IMAGE), generator=rng).byte() for i in range(8)}
    )


def test_a_spawned_process_draws_the_same_bits_from_the_same_memory() -> None:
    sampler = EpisodeSampler(bank().shared(), SPEC, 3)
    assert sampler.bank.pixels.is_shared()
    here = sampler.pixels([4, 2**40])
    with torch_multiprocessing.get_context("spawn").Pool(1) as pool:
        there = pool.apply(sampler.pixels, ([4, 2**40],))
        pool.apply(sampler.bank.pixels.fill_, (7,))
    for a, b in zip(here, there, strict=True):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.y, b.y)
    assert bool((sampler.bank.pixels == 7).all())  # what the other process wrote: nothing was copied


def kilobytes_of(path: Path) -> dict[str, int]:
    """How much of a mapped file this process holds, by kind of page."""
    found: dict[str, int] = {}
    is_ours = False
    for line in SMAPS.read_text().splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            is_ours = line.endswith(f" {path}")
        elif is_ours and words[-1] == "kB":
            kind = words[0].removesuffix(":")
            found[kind] = found.get(kind, 0) + int(words[1])
    return found


@pytest.mark.skipif(not SMAPS.exists(), reason="only Linux tells which pages are shared")
def test_forked_processes_share_the_pages_of_a_cached_bank(tmp_path: Path) -> None:
    sampler = EpisodeSampler(cached(tmp_path, "noise", {}, bank), SPEC, 3)
    (path,) = tmp_path.iterdir()
    here, there = multiprocessing.Pipe(duplex=False)

    def draw() -> None:
        total = int(sampler.bank.pixels.sum(dtype=torch.int64))  # touches every page
        there.send((total, sampler.pixels([4]).query.x.numpy().tobytes(), kilobytes_of(path)))

    process = multiprocessing.get_context("fork").Process(target=draw)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forking beside threads
        process.start()
    assert here.poll(60)
    total, drawn, kilobytes = here.recv()
    process.join()
    assert total == int(sampler.bank.pixels.sum(dtype=torch.int64))
    assert drawn == sampler.pixels([4]).query.x.numpy().tobytes()
    assert kilobytes["Rss"] >= sampler.bank.pixels.numel() // 1024
    assert kilobytes["Anonymous"] == 0  # every page is the file's, none a copy
