"""Augmentations as pure functions, and episodes with augmented images."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import pad

from tasks import Batch, DataError, Episode, TaskSpec, check_episode, stream
from tasks.augment import Augmentation, Augmented, colour_jitter, cutout, horizontal_flip, random_affine, random_crop

AUGMENTATIONS: dict[str, Augmentation] = {
    "crop": partial(random_crop, padding=3),
    "flip": horizontal_flip,
    "affine": random_affine,
    "jitter": partial(colour_jitter, brightness=0.8, contrast=1.5, saturation=2.0),
    "cutout": partial(cutout, size=3),
}
SHAPES = st.tuples(st.integers(1, 6), st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9))
SEEDS = st.integers(0, 2**40)
quick = settings(max_examples=30, deadline=None, database=None)


def noise(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=stream(seed, "images"))


@pytest.mark.parametrize("augment", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
@quick
@given(shape=SHAPES, seed=SEEDS)
def test_images_stay_images_and_depend_on_the_generator_alone(
    augment: Augmentation, shape: tuple[int, ...], seed: int
) -> None:
    images = noise(shape)
    found = augment(images, stream(seed))
    assert found.shape == images.shape
    assert found.dtype == images.dtype
    assert 0 <= float(found.min()) <= float(found.max()) <= 1
    assert torch.equal(images, noise(shape))  # what was given is left alone
    torch.rand(7)  # the global generator is nothing to it
    assert torch.equal(found, augment(images, stream(seed)))


@pytest.mark.parametrize("augment", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_each_image_has_a_draw_of_its_own(augment: Augmentation) -> None:
    images = noise((1, 3, 9, 9)).expand(40, 3, 9, 9)
    assert len(torch.unique(augment(images, stream(0)), dim=0)) > 1


@pytest.mark.parametrize("augment", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_double_precision_stays_and_no_pixel_moves_by_it(augment: Augmentation) -> None:
    images = noise((5, 3, 8, 8)).double()
    found = augment(images, stream(4))
    assert found.dtype == torch.float64
    torch.testing.assert_close(found.float(), augment(images.float(), stream(4)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("augment", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_the_work_is_done_on_the_device_of_the_images(augment: Augmentation) -> None:
    # `meta` stands for any device that is not the generator's.
    found = augment(torch.empty(2, 3, 8, 8, device="meta"), stream(0))
    assert found.device.type == "meta"
    assert found.shape == (2, 3, 8, 8)


@quick
@given(shape=SHAPES, padding=st.integers(0, 4), seed=SEEDS)
def test_a_crop_is_a_window_of_the_padded_image(shape: tuple[int, ...], padding: int, seed: int) -> None:
    images = noise(shape)
    found = random_crop(images, stream(seed), padding=padding)
    wide = pad(images, (padding,) * 4)
    _, _, h, w = shape
    shifts = range(2 * padding + 1)
    for image, crop in zip(wide, found, strict=True):
        assert any(torch.equal(crop, image[:, i : i + h, j : j + w]) for i in shifts for j in shifts)


def test_every_shift_is_drawn() -> None:
    images = torch.zeros(400, 1, 5, 5)
    images[:, :, 2, 2] = 1
    where = random_crop(images, stream(0), padding=1).flatten(1).argmax(1)
    assert sorted(set(where.tolist())) == [6, 7, 8, 11, 12, 13, 16, 17, 18]


@quick
@given(shape=SHAPES, seed=SEEDS)
def test_a_flip_mirrors_or_leaves(shape: tuple[int, ...], seed: int) -> None:
    images = noise(shape)
    for image, found in zip(images, horizontal_flip(images, stream(seed)), strict=True):
        assert torch.equal(found, image) or torch.equal(found, image.flip(-1))
    assert torch.equal(horizontal_flip(images, stream(seed), probability=0), images)
    assert torch.equal(horizontal_flip(images, stream(seed), probability=1), images.flip(-1))


def test_about_half_of_the_images_are_mirrored() -> None:
    images = torch.tensor([0.0, 1.0]).expand(1000, 1, 1, 2)
    assert 440 < int(horizontal_flip(images, stream(0))[:, 0, 0, 0].sum()) < 560  # four standard deviations are 63


@quick
@given(shape=SHAPES, size=st.integers(1, 6), seed=SEEDS)
def test_cutout_blackens_one_square_around_a_pixel(shape: tuple[int, ...], size: int, seed: int) -> None:
    images = noise(shape) * 0.5 + 0.5
    found = cutout(images, stream(seed), size=size)
    _, _, h, w = shape
    for image, cut in zip(images, found, strict=True):
        black = cut == 0
        assert torch.equal(cut[~black], image[~black])
        expected = []
        for y in range(h):
            for x in range(w):
                top, left = y - size // 2, x - size // 2
                square = torch.zeros(h, w, dtype=torch.bool)
                square[max(top, 0) : top + size, max(left, 0) : left + size] = True
                expected.append(square)
        assert any(torch.equal(black, square.expand_as(black)) for square in expected)


@quick
@given(shape=SHAPES, seed=SEEDS)
def test_an_affine_map_without_range_changes_nothing(shape: tuple[int, ...], seed: int) -> None:
    found = random_affine(noise(shape), stream(seed), degrees=0, stretch=0, slant=0)
    torch.testing.assert_close(found, noise(shape), rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(16, 16), (12, 20)])
@pytest.mark.parametrize(
    ("option", "most", "parts"),
    [
        ("degrees", 20.0, lambda value: (value, (1.0, 1.0), 0.0)),
        ("slant", 0.3, lambda value: (0.0, (1.0, 1.0), value)),
    ],
)
def test_an_affine_map_agrees_with_torchvision(
    size: tuple[int, int], option: str, most: float, parts: Callable[[float], tuple[float, tuple[float, float], float]]
) -> None:
    """With the one value that explains an image, where no image is cut off."""
    from tasks._compat import torchvision

    functional = torchvision.transforms.functional
    images = pad(noise((5, 1, 4, 4)), ((size[1] - 4) // 2,) * 2 + ((size[0] - 4) // 2,) * 2)
    options = {"degrees": 0.0, "stretch": 0.0, "slant": 0.0, option: most}
    found = random_affine(images, stream(2), **options)
    best = []
    for image, moved in zip(images, found, strict=True):
        values = torch.linspace(-most, most, 401).tolist()
        gaps = []
        for value in values:
            angle, _, slant = parts(value)
            shear = [math.degrees(math.atan(slant)), 0.0]
            there = functional.affine(
                image, angle, [0, 0], 1.0, shear, interpolation=functional.InterpolationMode.BILINEAR
            )
            gaps.append(float((there - moved).abs().max()))
        assert min(gaps) < 0.01
        best.append(values[gaps.index(min(gaps))])
    assert max(best) - min(best) > most / 4  # the images have values of their own


def test_a_stretched_image_keeps_its_middle_and_its_axes() -> None:
    """The rows in the middle of a picture of equal rows stay equal, whatever its width becomes."""
    images = torch.zeros(8, 1, 15, 15)
    images[..., 5:10] = 1
    found = random_affine(images, stream(4), degrees=0, stretch=0.5, slant=0)[..., 4:11, :]
    torch.testing.assert_close(found, found[..., :1, :].expand_as(found), atol=1e-5, rtol=0)
    torch.testing.assert_close(found, found.flip(-1), atol=1e-5, rtol=0)
    assert len({round(float(image.sum()), 3) for image in found}) == 8


@quick
@given(shape=SHAPES, seed=SEEDS)
def test_jitter_of_nothing_changes_nothing(shape: tuple[int, ...], seed: int) -> None:
    found = colour_jitter(noise(shape), stream(seed), brightness=0, contrast=0, saturation=0)
    torch.testing.assert_close(found, noise(shape), rtol=0, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("option", ["brightness", "contrast", "saturation"])
def test_jitter_agrees_with_torchvision(channels: int, option: str) -> None:
    """With the one factor that explains an image; a grey image has no saturation."""
    from tasks._compat import torchvision

    images = noise((6, channels, 7, 7)) * 0.5 + 0.25
    options = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, option: 0.4}
    found = colour_jitter(images, stream(2), **options)
    if channels == 1 and option == "saturation":
        torch.testing.assert_close(found, images)
        return
    adjust: Callable[[Tensor, float], Tensor] = getattr(torchvision.transforms.functional, f"adjust_{option}")
    factors = torch.linspace(0.6, 1.4, 801).tolist()
    best = []
    for image, jittered in zip(images, found, strict=True):
        gaps = torch.stack([(adjust(image, factor) - jittered).abs().max() for factor in factors])
        assert float(gaps.min()) < 1.5e-3  # the grid of factors, and torchvision's luma 0.2989
        best.append(factors[int(gaps.argmin())])
    assert max(best) - min(best) > 0.2  # the images have factors of their own


def test_impossible_options_are_refused() -> None:
    images, rng = noise((1, 1, 2, 2)), stream(0)
    with pytest.raises(DataError, match="random_crop: expected a padding of 0 pixels or more, got -1; set"):
        random_crop(images, rng, padding=-1)
    with pytest.raises(DataError, match=r"horizontal_flip: expected a probability in \[0, 1\], got 1.5; set"):
        horizontal_flip(images, rng, probability=1.5)
    with pytest.raises(DataError, match="cutout: expected a square of 1 pixel or more, got 0; leave"):
        cutout(images, rng, size=0)
    with pytest.raises(DataError, match="random_affine: expected stretch from 0 to 1, got 1.5; 0 changes nothing"):
        random_affine(images, rng, stretch=1.5)
    with pytest.raises(DataError, match="colour_jitter: expected contrast to be 0 or more, got -0.1; 0 changes"):
        colour_jitter(images, rng, contrast=-0.1)
    with pytest.raises(DataError, match="colour_jitter: expected images of 1 or 3 channels, got 2; leave"):
        colour_jitter(noise((1, 2, 2, 2)), rng)


class Fixed:
    """Two classes; every episode holds the same images, so that all differences come from augmentation."""

    spec = TaskSpec(2, 2, 3, (3, 8, 8))

    def __getitem__(self, index: int) -> Episode:
        def batch(per_class: int) -> Batch:
            return Batch(noise((2 * per_class, 3, 8, 8)), torch.arange(2).repeat_interleave(per_class))

        return Episode(batch(2), batch(3))


ALL = tuple(AUGMENTATIONS.values())


@quick
@given(index=st.integers(0, 2**40), seed=SEEDS)
def test_an_augmented_episode_is_a_pure_function_of_seed_and_index(index: int, seed: int) -> None:
    first, second = Augmented(Fixed(), ALL, seed, query=True), Augmented(Fixed(), ALL, seed, query=True)
    second[index + 1]
    check_episode(first[index], first.spec)
    for a, b in zip(first[index], second[index], strict=True):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.y, b.y)
    assert not torch.equal(first[index].support.x, first[index + 1].support.x)
    assert not torch.equal(first[index].support.x, Augmented(Fixed(), ALL, seed + 1)[index].support.x)


def test_query_images_are_augmented_only_if_asked_and_support_is_the_same_either_way() -> None:
    plain, both = Augmented(Fixed(), ALL, 0)[5], Augmented(Fixed(), ALL, 0, query=True)[5]
    assert torch.equal(plain.query.x, Fixed()[5].query.x)
    assert not torch.equal(both.query.x, Fixed()[5].query.x)
    assert torch.equal(plain.support.x, both.support.x)
    assert torch.equal(both.query.y, Fixed()[5].query.y)


def test_support_and_query_have_streams_of_their_own() -> None:
    class Equal(Fixed):
        def __getitem__(self, index: int) -> Episode:
            support = super().__getitem__(index).support
            return Episode(support, support)

    support, query = Augmented(Equal(), ALL, 0, query=True)[0]
    assert not torch.equal(support.x, query.x)


def test_augmentations_follow_each_other_in_order() -> None:
    halve, square = (lambda x, rng: x / 2), (lambda x, rng: x**2)
    found = Augmented(Fixed(), [halve, square], 0)[0].support.x
    torch.testing.assert_close(found, (Fixed()[0].support.x / 2) ** 2)
    assert torch.equal(Augmented(Fixed(), [], 0)[0].support.x, Fixed()[0].support.x)
