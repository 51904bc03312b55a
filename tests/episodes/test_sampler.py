import hashlib
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import DataError, EpisodeSampler, ImageBank, TaskSpec, check_episode, stack, stream

IMAGE = (1, 2, 3)


def bank(counts: list[int]) -> ImageBank:
    """Images that tell their class in the first pixel and their number within it in the second."""
    images = {}
    for i, count in enumerate(counts):
        pixels = torch.zeros(count, *IMAGE, dtype=torch.uint8)
        pixels[:, 0, 0, 0] = i
        pixels[:, 0, 0, 1] = torch.arange(count, dtype=torch.uint8)
        images[f"c{i}"] = pixels
    return ImageBank.from_classes("made", images)


@st.composite
def shapes(draw: st.DrawFn) -> tuple[int, int, int, list[int], int]:
    """Way, shot, queries, images in each class, and a seed; plain values, the bank is built by the test."""
    n_way, k_shot, n_query = draw(st.integers(2, 5)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    counts = draw(st.lists(st.integers(k_shot + n_query, 14), min_size=n_way, max_size=9))
    return n_way, k_shot, n_query, counts, draw(st.integers(-(2**40), 2**40))


def made(shape: tuple[int, int, int, list[int], int]) -> EpisodeSampler:
    n_way, k_shot, n_query, counts, seed = shape
    return EpisodeSampler(bank(counts), TaskSpec(n_way, k_shot, n_query, IMAGE), seed)


@settings(max_examples=60, deadline=None, database=None)
@given(shapes(), st.integers(0, 2**40))
def test_an_episode_is_what_the_spec_promises(shape: tuple[int, int, int, list[int], int], index: int) -> None:
    sampler = made(shape)
    episode = sampler[index]
    check_episode(episode, sampler.spec)
    ids = torch.cat([episode.support.x, episode.query.x])[:, 0, 0, :2].mul(255).round().int()
    assert len(torch.unique(ids, dim=0)) == len(ids)  # no image twice, so support and query are disjoint
    labels = torch.cat([episode.support.y, episode.query.y])
    pairs = torch.stack([ids[:, 0], labels.int()], 1)
    assert len(torch.unique(pairs, dim=0)) == sampler.spec.n_way  # a label is one class, and a class has one label


@settings(max_examples=60, deadline=None, database=None)
@given(shapes(), st.integers(0, 2**40))
def test_an_episode_is_a_pure_function_of_seed_and_index(
    shape: tuple[int, int, int, list[int], int], index: int
) -> None:
    sampler, again = made(shape), made(shape)
    sampler[index + 1]
    assert torch.equal(sampler.rows([index]), again.rows([index]))


@settings(max_examples=40, deadline=None, database=None)
@given(shapes(), st.integers(0, 2**40))
def test_an_episode_is_a_copy_of_what_the_bank_holds(shape: tuple[int, int, int, list[int], int], index: int) -> None:
    sampler = made(shape)
    before = sampler.bank.pixels.clone()
    alone = sampler[index]
    alone.support.x.fill_(0)  # an episode is a copy: who spoils it spoils nothing else
    alone.query.y.fill_(0)
    assert torch.equal(sampler.bank.pixels, before)
    check_episode(sampler[index], sampler.spec)


DIGEST = """
import hashlib, torch
from tasks import EpisodeSampler, ImageBank, TaskSpec

pixels = torch.arange(6 * 7 * 4).remainder(251).byte().view(6, 7, 1, 2, 2)
bank = ImageBank.from_classes("made", {f"c{i}": x for i, x in enumerate(pixels)})
episodes = EpisodeSampler(bank, TaskSpec(4, 2, 3, (1, 2, 2)), 11)
tensors = [tensor for i in (0, 3, 2**40) for batch in episodes[i] for tensor in batch]
digest = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors)).hexdigest()
"""


def test_a_fresh_process_draws_the_same_bits() -> None:
    here: dict[str, str] = {}
    exec(DIGEST, here)
    ran = subprocess.run(
        [sys.executable, "-c", DIGEST + "print(digest)"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "1"},
    )
    assert ran.stdout.strip() == here["digest"]


def test_every_class_and_every_image_is_eventually_drawn() -> None:
    sampler = EpisodeSampler(bank([5, 9, 7, 5, 6]), TaskSpec(3, 2, 3, IMAGE), 0)
    drawn = sampler.rows(range(60)).flatten()
    assert sorted(set(drawn.tolist())) == list(range(32))


def test_labels_do_not_tell_the_class() -> None:
    sampler = EpisodeSampler(bank([3] * 6), TaskSpec(5, 1, 1, IMAGE), 0)
    of_label_0 = {int(sampler[i].support.x[0, 0, 0, 0] * 255 + 0.5) for i in range(60)}
    assert of_label_0 == set(range(6))


def test_all_draws_of_classes_are_about_equally_likely() -> None:
    sampler = EpisodeSampler(bank([2] * 8), TaskSpec(2, 1, 1, IMAGE), 5)
    seen = sampler.rows(range(800))[:, :, 0].flatten() // 2
    share = torch.bincount(seen, minlength=8) / len(seen)
    assert float((share - 1 / 8).abs().max()) < 0.035  # four standard deviations of 1600 draws


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_images_have_the_default_dtype(dtype: torch.dtype) -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        assert EpisodeSampler(bank([2, 2]), TaskSpec(2, 1, 1, IMAGE), 0)[0].query.x.dtype == dtype
    finally:
        torch.set_default_dtype(before)


def test_an_episode_lives_on_the_device_of_its_bank() -> None:
    # `meta` stands for any device that is not the CPU.
    episode = EpisodeSampler(bank([2, 2]).to("meta"), TaskSpec(2, 1, 1, IMAGE), 0)[0]
    assert {t.device.type for batch in episode for t in batch} == {"meta"}


def test_stack_puts_the_tasks_in_front() -> None:
    sampler = EpisodeSampler(bank([4, 4, 4]), TaskSpec(2, 1, 2, IMAGE), 0)
    episodes = stack([sampler[i] for i in range(3)])
    assert episodes.support.x.shape == (3, 2, *IMAGE)
    assert episodes.query.y.shape == (3, 4)
    assert torch.equal(episodes.query.x[2], sampler[2].query.x)


def test_streams_with_other_names_are_other_streams() -> None:
    streams = [stream(0, "a", 1), stream(0, "a", 2), stream(0, "b", 1), stream(1, "a", 1)]
    assert len({int(torch.randint(2**62, (), generator=rng)) for rng in streams}) == 4


@pytest.mark.parametrize(
    ("counts", "spec", "message"),
    [
        ([9, 9], TaskSpec(3, 1, 1, IMAGE), "3-way episodes need 3 classes, the split has 2; lower n_way"),
        ([9, 3], TaskSpec(2, 1, 4, IMAGE), "'c1' has 3 images, 1-shot episodes with 4 query images need 5"),
        ([9, 9], TaskSpec(2, 1, 1, (3, 2, 3)), r"images are \(1, 2, 3\), but the task asks for \(3, 2, 3\)"),
    ],
)
def test_a_bank_too_small_for_the_task_is_refused(counts: list[int], spec: TaskSpec, message: str) -> None:
    with pytest.raises(DataError, match=message):
        EpisodeSampler(bank(counts), spec, 0)


def test_a_negative_index_is_refused() -> None:
    with pytest.raises(IndexError, match="episodes are numbered from 0, got -1"):
        EpisodeSampler(bank([2, 2]), TaskSpec(2, 1, 1, IMAGE), 0)[-1]


@pytest.mark.parametrize(
    ("counts", "spec", "digest"),
    [
        ([20] * 1028, (5, 1, 15), "731ee678107394e6"),
        ([20] * 1028, (20, 5, 15), "8710cc36bf6695e4"),
        ([600] * 30, (5, 1, 15), "22b8b38903d1c0d9"),
        ([20 + i for i in range(40)], (20, 5, 15), "d2365c9f313e8dc1"),
        ([3, 9, 4], (2, 1, 2), "92f253b52451274d"),
    ],
)
def test_the_same_images_and_labels_are_drawn_as_ever(
    counts: list[int], spec: tuple[int, int, int], digest: str
) -> None:
    # Recorded accuracies are of these episodes: a new digest makes them all out of date.
    rows = torch.arange(9 * sum(counts)).mul(2654435761).remainder(65521).byte().view(-1, 1, 3, 3)
    images = ImageBank.from_classes("made", {f"c{i}": x for i, x in enumerate(rows.split(counts))})
    (found,) = EpisodeSampler(images, TaskSpec(*spec, (1, 3, 3)), 11).stacks((0, 1, 7, 2**40))
    tensors = [tensor for batch in found.episode for tensor in batch]
    assert hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors)).hexdigest()[:16] == digest
