"""Glyphs: the built-in data set, characters of many scripts drawn from matplotlib's own font faces.

A class is one character, its images are that character in different faces, turned, sheared, scaled and
shifted, in bright ink on black: a stand-in for Omniglot (Lake et al. 2015) that needs no download. Scripts
are disjoint between the splits, and no character looks like another one, in whatever split;
`scripts/glyph_list.py` holds those rules.
"""

import hashlib
import math
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

from tasks.bank import ImageBank
from tasks.cache import cached
from tasks.card import Card
from tasks.dataset import Dataset
from tasks.errors import DataError
from tasks.sources.faces import draw, faces_of, matplotlib_version
from tasks.split import SPLITS, ClassSplit, SplitName
from tasks.stream import stream

LIST = Path(__file__).with_name("glyphs.txt")
"""The characters, by split and script."""
PER_CLASS = 20
"""Images of a character, as in Omniglot."""

_VERSION = 3  # of the drawing below: a change makes old caches strangers
_FILL = 0.62  # longer extent of an undistorted glyph, as a part of the picture
_EDGE = 0.9  # where a glyph must end, as a part of half the picture
_CHUNK = 20  # classes distorted at once: few enough for the memory to be used again


@dataclass(frozen=True)
class Distortion:
    """How far a random affine map may go; every amount is drawn uniformly from plus or minus the field."""

    turn: float = math.radians(5)
    """Rotation in radians."""
    shear: float = 0.07
    """Horizontal shift for one unit of height."""
    stretch: float = 0.07
    """Natural logarithm of the scale, of each axis on its own."""
    shift: float = 0.2
    """Shift as a part of half the picture; made smaller where the glyph would leave the picture."""

    def maps(self, amounts: Tensor) -> Tensor:
        """Maps from places in the distorted picture to places in the drawn one, `[n, 2, 3]`.

        Args:
            amounts: in [-1, 1], `[n, 6]`: turn, shear, two stretches, two shifts.
        """
        turn, shear = amounts[:, 0] * self.turn, amounts[:, 1] * self.shear
        wide, high = (amounts[:, 2:4] * self.stretch).exp().unbind(1)
        cos, sin = turn.cos(), turn.sin()
        rows = [cos * wide, (cos * shear - sin) * high, sin * wide, (sin * shear + cos) * high]
        forward = torch.stack(rows, dim=1).view(-1, 2, 2)  # stretch, then shear, then turn
        # Half the glyph's box after the map, each axis; what would be cut off is made smaller instead.
        extent = _FILL * forward.abs().sum(2)
        forward = forward * (_EDGE / extent.amax(1).clamp_min(_EDGE))[:, None, None]
        room = (_EDGE - _FILL * forward.abs().sum(2)).clamp(0, self.shift)
        inverse = torch.linalg.inv(forward)
        return torch.cat([inverse, -inverse @ (amounts[:, 4:6] * room)[:, :, None]], dim=2)


def glyphs(resolution: int = 28, seed: int = 0, cache: Path | None = None) -> Dataset:
    """The built-in data set: about 1,500 characters with 20 images each, `[1, resolution, resolution]`.

    Args:
        resolution: height and width in pixels, at least 8.
        seed: of faces and distortions; a class is a pure function of (seed, its name).
        cache: directory where the pictures are kept; None draws them anew, in a few seconds.

    Raises:
        DataError: when the resolution is too small, a face is missing, or `cache` cannot be written.
    """
    if resolution < 8:
        raise DataError(f"glyphs need a resolution of at least 8 pixels, got {resolution}; try 28")
    codes = {name: code for part in characters().values() for name, code in part.items()}
    key: dict[str, str | int] = {
        "version": _VERSION,
        "list": hashlib.sha256(LIST.read_bytes()).hexdigest(),
        "resolution": resolution,
        "seed": seed,
        "matplotlib": matplotlib_version(),
        "pillow": version("pillow"),
    }
    bank = cached(cache, f"glyphs-{resolution}", key, lambda: draw_classes(codes, resolution, seed))
    return Dataset("glyphs", bank, script_split())


def characters() -> dict[SplitName, dict[str, int]]:
    """The listed characters: split -> class name such as `Latin/U+0041` -> code point."""
    listed: dict[SplitName, dict[str, int]] = {split: {} for split in SPLITS}
    target, script = listed["train"], ""
    for line in LIST.read_text(encoding="utf-8").splitlines():
        text = line.split("#")[0].strip()
        if text.startswith("["):
            split, script = text.strip("[]").split()
            target = next(listed[known] for known in SPLITS if known == split)
        else:
            target.update({f"{script}/U+{word}": int(word, 16) for word in text.split()})
    return listed


def script_split() -> ClassSplit:
    """The division by scripts: 1224, 75 and 177 class names."""
    listed = characters()
    return ClassSplit(*(tuple(listed[split]) for split in SPLITS))


CARD = Card(
    title="glyphs",
    channels=(1,),
    per_class=PER_CLASS,
    split=script_split,
    licence="that of the fonts in matplotlib",
    origin="built in",
)


def draw_classes(codes: dict[str, int], resolution: int, seed: int) -> ImageBank:
    """The bank of some characters, class name -> code point; a class does not depend on its neighbours."""
    names = list(codes)
    images: dict[str, Tensor] = {}
    for start in range(0, len(names), _CHUNK):
        chunk = names[start : start + _CHUNK]
        rngs = [stream(seed, "glyphs", name) for name in chunk]
        amounts = torch.cat([torch.rand(PER_CLASS, 6, generator=rng, dtype=torch.float32) for rng in rngs])
        # Twice the resolution, averaged down at the end: sampling at the final one would make ragged edges.
        side = 2 * resolution
        drawn = torch.cat([_faces(codes[name], side, rng) for name, rng in zip(chunk, rngs, strict=True)])
        distorted = _distort(drawn, Distortion().maps(2 * amounts - 1))
        images.update(zip(chunk, distorted.view(len(chunk), PER_CLASS, *distorted.shape[1:]), strict=True))
    return ImageBank.from_classes("glyphs", images)


def _faces(code: int, side: int, rng: torch.Generator) -> Tensor:
    """One character in 20 faces, each face about equally often, uint8 `[20, side, side]`."""
    faces = faces_of(code)
    if not faces:
        raise DataError(
            f"expected a font that can draw U+{code:04X}, got none in matplotlib {matplotlib_version()}; "
            "install matplotlib>=3.8,<4"
        )
    order = torch.randperm(len(faces), generator=rng)[:PER_CLASS]
    pictures = torch.stack([draw(code, faces[i], side, _FILL) for i in order.tolist()])
    return pictures[torch.arange(PER_CLASS) % len(pictures)]


def _distort(pictures: Tensor, maps: Tensor) -> Tensor:
    """`pictures` `[n, 2r, 2r]` seen through `maps` `[n, 2, 3]`, as uint8 `[n, 1, r, r]`."""
    side = pictures.shape[-1]
    # Places of the pixel centres in [-1, 1]. The same as `affine_grid`, which takes three times as long.
    centre = (2 * torch.arange(side, dtype=torch.float32) + 1) / side - 1
    by_column = maps[:, :, 0, None] * centre  # [n, 2, 2r]
    by_row = maps[:, :, 1, None] * centre + maps[:, :, 2, None]
    grid = torch.stack([by_column[:, i, None, :] + by_row[:, i, :, None] for i in range(2)], dim=3)
    seen = grid_sample(pictures[:, None].to(torch.float32), grid, padding_mode="zeros", align_corners=False)
    return avg_pool2d(seen, 2).round_().clamp_(0, 255).to(torch.uint8)
