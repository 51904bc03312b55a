"""Which images an episode shows depends neither on the device of the bank nor on the default dtype."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
import torch
from torch import Tensor

from tasks import Batch, Episodes, EpisodeSampler, ImageBank, TaskSpec, VariedSampler
from tasks.augment import Augmented, colour_jitter, cutout, horizontal_flip, random_affine, random_crop
from tasks.shuffled import Shuffled

IMAGE = (3, 8, 8)
NUMBERS = (0, 1, 7, 2**40)
Make = Callable[[ImageBank], Episodes]


def bank() -> ImageBank:
    rng = torch.Generator().manual_seed(0)
    images = {f"c{i}": torch.randint(256, (8 + i, *IMAGE), generator=rng).byte() for i in range(7)}
    return ImageBank.from_classes("noise", images)


def sampled(images: ImageBank) -> EpisodeSampler:
    return EpisodeSampler(images, TaskSpec(5, 2, 3, IMAGE), 3)


def varied(images: ImageBank) -> VariedSampler:
    return VariedSampler(images, TaskSpec(6, 4, 3, IMAGE, varied=True), 3, least_way=3, most_support=15)


def augmented(images: ImageBank) -> Augmented:
    changes = [partial(random_crop, padding=2), horizontal_flip, random_affine, colour_jitter, partial(cutout, size=3)]
    return Augmented(sampled(images), changes, 3, query=True)


MAKES: dict[str, Make] = {"sampled": sampled, "varied": varied, "augmented": augmented}


def batches(make: Make, images: ImageBank) -> list[Batch]:
    episodes = make(images)
    return [batch for i in NUMBERS for batch in episodes[i]]


@pytest.fixture
def in_float64() -> Iterator[Callable[[], None]]:
    before = torch.get_default_dtype()
    yield lambda: torch.set_default_dtype(torch.float64)
    torch.set_default_dtype(before)


def test_rows_are_drawn_on_the_cpu_whatever_the_device() -> None:
    here, elsewhere = sampled(bank()), sampled(bank().to("meta"))
    assert torch.equal(here.rows(NUMBERS), elsewhere.rows(NUMBERS))
    first, second = Shuffled(bank(), 9, 3), Shuffled(bank().to("meta"), 9, 3)
    assert torch.equal(first.rows(2, 1), second.rows(2, 1))


def test_a_bank_on_another_cpu_tensor_gives_the_same_bits() -> None:
    for make in MAKES.values():
        for a, b in zip(batches(make, bank()), batches(make, bank().to("cpu").shared()), strict=True):
            assert torch.equal(a.x, b.x)
            assert torch.equal(a.y, b.y)


@pytest.mark.parametrize("name", ["sampled", "varied"])
def test_the_default_dtype_changes_no_draw(name: str, in_float64: Callable[[], None]) -> None:
    single = batches(MAKES[name], bank())
    in_float64()
    double = batches(MAKES[name], bank())
    for a, b in zip(single, double, strict=True):
        assert (a.x.dtype, b.x.dtype) == (torch.float32, torch.float64)
        assert torch.equal(as_bytes(a.x), as_bytes(b.x))
        assert torch.equal(a.y, b.y)


def as_bytes(x: Tensor) -> Tensor:
    """Images in [0, 1] as uint8."""
    assert x.min() >= 0
    return (x * 255).round().byte()


@pytest.mark.gpu
@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
def test_a_gpu_draws_what_the_cpu_draws(make: Make) -> None:
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    for a, b in zip(batches(make, bank()), batches(make, bank().to("cuda")), strict=True):
        assert b.x.device.type == b.y.device.type == "cuda"
        assert torch.equal(a.y, b.y.cpu())
        # Not to the bit: a GPU may multiply by 1 / 255 where a CPU divides.
        torch.testing.assert_close(b.x.cpu(), a.x, rtol=1e-6, atol=1e-6)


@pytest.mark.gpu
def test_a_gpu_holds_the_same_bytes() -> None:
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    for a, b in zip(sampled(bank()).pixels(NUMBERS), sampled(bank().to("cuda")).pixels(NUMBERS), strict=True):
        assert torch.equal(a.x, b.x.cpu())
        assert torch.equal(a.y, b.y.cpu())


@pytest.mark.gpu
@pytest.mark.parametrize("make", [sampled, varied])
def test_drawing_does_not_wait_for_the_gpu(make: Make) -> None:
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    episodes = make(bank().to("cuda"))
    episodes[0]  # the first time, page-locked memory is asked for
    torch.cuda.set_sync_debug_mode("error")
    try:
        episodes[0]
    finally:
        torch.cuda.set_sync_debug_mode("default")
