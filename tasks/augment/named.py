"""The augmentations that a configuration can name, at sizes that fit the images."""

from collections.abc import Callable
from functools import partial

from tasks.augment.affine import random_affine
from tasks.augment.augmented import Augmentation
from tasks.augment.crop import random_crop
from tasks.augment.cutout import cutout
from tasks.augment.flip import horizontal_flip
from tasks.augment.jitter import colour_jitter

AUGMENTATIONS: dict[str, Callable[[int], Augmentation]] = {
    "crop": lambda resolution: partial(random_crop, padding=max(1, resolution // 8)),  # 4 pixels of 32
    "flip": lambda resolution: horizontal_flip,
    "affine": lambda resolution: random_affine,
    "jitter": lambda resolution: colour_jitter,
    "cutout": lambda resolution: partial(cutout, size=max(1, resolution // 4)),  # 8 pixels of 32
}
"""By name: from the height and width of images to their augmentation."""
