"""Font faces: the type that matplotlib ships, and how one character looks in one face.

Three families with their bold and slanted styles make 21 faces. They are the reason why the built-in data set
has no download: whoever can draw a curve has them. Faces of symbols only (STIX sizes, `cmsy10`, ...) and the
fall-back face, which answers every code point with a box, are left out on purpose.
"""

from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from tasks.errors import DataError

UNICODE_FACES = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSans-BoldOblique",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "DejaVuSerif-BoldItalic",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSansMono-Oblique",
    "DejaVuSansMono-BoldOblique",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
    "STIXGeneralBolIta",
)
"""Faces whose character map is Unicode."""
TEX_FACES = ("cmr10", "cmb10", "cmss10", "cmti10", "cmtt10")
"""Computer Modern: its map is TeX's own outside letters and digits, so only those are drawn from it."""
FACES = UNICODE_FACES + TEX_FACES
"""Every face, in the order in which a character's faces are listed."""
TEX_CHARACTERS = frozenset(map(ord, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))

_EM = 64
"""Pixels an em."""
_ROOM = 2 * _EM
"""Side of the sheet that a character is drawn on: no glyph of these faces is wider or taller."""


def matplotlib_version() -> str:
    """Version of the matplotlib whose faces are drawn."""
    return version("matplotlib")


def face_path(face: str) -> Path:
    """Where the face's file lies; raises `DataError` when this matplotlib does not ship it."""
    # find_spec does not import matplotlib: that would cost most of a second for a folder name.
    spec = find_spec("matplotlib")
    folders = [] if spec is None else list(spec.submodule_search_locations or [])
    for folder in folders:
        path = Path(folder, "mpl-data", "fonts", "ttf", f"{face}.ttf")
        if path.is_file():
            return path
    raise DataError(f"expected the font {face}.ttf of matplotlib, got none in {folders}; install matplotlib>=3.8")


@cache
def code_points(face: str) -> frozenset[int]:
    """The characters that `face` really has, those it maps to its box for the unknown left out."""
    with TTFont(face_path(face), lazy=True) as font:
        known = frozenset(code for code, name in font.getBestCmap().items() if name != ".notdef")
    return known & TEX_CHARACTERS if face in TEX_FACES else known


def faces_of(code: int) -> tuple[str, ...]:
    """The faces that can draw character `code`."""
    return tuple(face for face in FACES if code in code_points(face))


@cache
def _font(face: str) -> ImageFont.FreeTypeFont:
    # The basic layout engine is always there; raqm would reorder and shape, and is missing on many machines.
    return ImageFont.truetype(str(face_path(face)), _EM, layout_engine=ImageFont.Layout.BASIC)


def draw(code: int, face: str, side: int, fill: float) -> Tensor:
    """Character `code` in `face`: bright ink, centred, its longer extent `fill` of the picture.

    Returns:
        uint8 `[side, side]`, ink 255; all zero for a character without ink, such as a space.
    """
    sheet = Image.new("L", (_ROOM, _ROOM))
    ImageDraw.Draw(sheet).text((_ROOM // 2, _ROOM // 2), chr(code), fill=255, font=_font(face), anchor="mm")
    canvas = Image.new("L", (side, side))
    box = sheet.getbbox()
    if box is not None:
        extents = box[2] - box[0], box[3] - box[1]
        scale = fill * side / max(extents)
        width, height = (max(1, round(extent * scale)) for extent in extents)
        ink = sheet.resize((width, height), Image.Resampling.BILINEAR, box=box)
        canvas.paste(ink, ((side - width) // 2, (side - height) // 2))
    return torch.frombuffer(bytearray(canvas.tobytes()), dtype=torch.uint8).view(side, side)
