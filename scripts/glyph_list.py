"""Regenerates `tasks/sources/glyphs.txt`: which characters the built-in data set draws, and in which split.

A character is listed when at least six faces can draw it and it is visibly distinct from every character
listed before it, in whatever split. Two characters look the same when, in any of five upright faces, their
pictures (fitted to one size, blurred by 0.75 pixels at 28 x 28) correlate by 0.92 or more. Test scripts
choose first, because they are the smallest; so it is the training split that loses its look-alikes.

Usage: python scripts/glyph_list.py [--check]
"""

import argparse
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from tasks.sources.faces import FACES, code_points, draw, faces_of
from tasks.split import SplitName

LEAST_FACES = 6
LIMIT = 0.92
REFERENCE = ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "DejaVuSans-Bold", "STIXGeneral")
SPLIT_OF: dict[str, SplitName] = {
    "Armenian": "test",
    "Georgian": "test",
    "Lao": "test",
    "Latin": "train",
    "Cyrillic": "train",
    "Greek": "validation",
    "Signs": "train",
    "Letterlike": "train",
    "Arrows": "train",
    "Mathematics": "train",
    "Technical": "train",
    "Enclosed": "train",
    "Shapes": "train",
    "Dingbats": "train",
}
"""Script or kind of symbol -> split, in the order of choice."""
SCRIPTS = ("Armenian", "Georgian", "Lao", "Latin", "Cyrillic", "Greek")
BLOCKS = (
    ("Signs", 0x0020, 0x00BF),
    ("Signs", 0x00D7, 0x00F7),
    ("Signs", 0x2010, 0x20CF),
    ("Letterlike", 0x2100, 0x218F),
    ("Arrows", 0x2190, 0x21FF),
    ("Mathematics", 0x2200, 0x22FF),
    ("Technical", 0x2300, 0x245F),
    ("Enclosed", 0x2460, 0x24FF),
    ("Shapes", 0x25A0, 0x25FF),
    ("Dingbats", 0x2600, 0x27BF),
    ("Mathematics", 0x27C0, 0x27EF),
    ("Arrows", 0x27F0, 0x27FF),
    ("Arrows", 0x2900, 0x297F),
    ("Mathematics", 0x2980, 0x2AFF),
    ("Arrows", 0x2B00, 0x2BFF),
    ("Mathematics", 0x1D400, 0x1D7FF),
)
"""Symbols by Unicode block; box lines and Braille cells (2500 - 259F, 2800 - 28FF) are nothing to learn."""
HEAD = """\
# Characters of the built-in data set, written by scripts/glyph_list.py: do not edit by hand.
# [split script] opens a group; then hexadecimal code points, and the characters themselves after the sign #.
"""


def group(code: int) -> str | None:
    """The script or kind of symbol of a character, or None when the data set does not want it."""
    category = unicodedata.category(chr(code))
    name = unicodedata.name(chr(code), "")
    if not name or category[0] not in "LNSP" or category in ("Lm", "Sk"):
        return None  # marks, spaces, private characters; letters and accents made small
    script = name.split()[0].capitalize()
    if script in SCRIPTS:
        return None if category[0] == "P" else script
    return next((kind for kind, first, last in BLOCKS if first <= code <= last), None)


def candidates() -> Iterator[tuple[str, int]]:
    """Every wanted character with enough faces, in the order of choice."""
    drawable = Counter(code for face in FACES for code in code_points(face))
    wanted = [(group(code), code) for code, count in drawable.items() if count >= LEAST_FACES]
    order = list(SPLIT_OF)
    known = [(kind, code) for kind, code in wanted if kind]
    yield from sorted(known, key=lambda pair: (order.index(pair[0]), pair[1]))


def looks(codes: Sequence[int], face: str) -> Tensor:
    """Unit vectors `[codes, pixels]` whose inner products say how alike two look; zero without a glyph."""
    known = code_points(face)
    empty = torch.zeros(56, 56, dtype=torch.uint8)
    pictures = torch.stack([draw(code, face, 56, 0.75) if code in known else empty for code in codes])
    x = avg_pool2d(pictures[:, None].float(), 2)
    kernel = torch.exp(-(torch.arange(-4.0, 5.0) ** 2) / (2 * 0.75**2))
    kernel /= kernel.sum()
    x = conv2d(x, kernel.view(1, 1, 1, -1), padding=(0, 4))
    x = conv2d(x, kernel.view(1, 1, -1, 1), padding=(4, 0)).flatten(1)
    x = x - x.mean(1, keepdim=True)
    unit: Tensor = x / x.norm(dim=1, keepdim=True).clamp_min(1e-6)
    return unit


def likeness(codes: Sequence[int]) -> Tensor:
    """How alike the characters look in the face that tells them apart least, `[codes, codes]` in [-1, 1]."""
    worst = torch.full((len(codes), len(codes)), -1.0)
    for face in REFERENCE:
        x = looks(codes, face)
        worst = torch.maximum(worst, x @ x.T)
    return worst


def distinct(codes: Sequence[int]) -> list[int]:
    """Places of the characters that look like none kept before them."""
    alike = likeness(codes) >= LIMIT
    kept: list[int] = []
    for i in range(len(codes)):
        # A character without ink in every reference face is like nothing, itself included.
        if alike[i, i] and not alike[i, kept].any():
            kept.append(i)
    return kept


def listing() -> str:
    """The text of the list file."""
    pairs = list(candidates())
    keep = [pairs[i] for i in distinct([code for _, code in pairs])]
    lines = [HEAD]
    for kind, split in SPLIT_OF.items():
        codes = [code for other, code in keep if other == kind]
        lines.append(f"[{split} {kind}]")
        for start in range(0, len(codes), 16):
            row = codes[start : start + 16]
            lines.append(f"{' '.join(f'{code:04X}' for code in row)}  # {' '.join(map(chr, row))}")
        lines.append("")
    assert all(len(faces_of(code)) >= LEAST_FACES for _, code in keep)
    return "\n".join(lines).rstrip("\n") + "\n"


def main() -> int:
    """Writes the list, or with `--check` tells whether the file is what this script would write."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the file differs")
    check = parser.parse_args().check
    path = Path(__file__).parents[1] / "tasks" / "sources" / "glyphs.txt"
    text = listing()
    if check:
        return int(path.read_text(encoding="utf-8") != text)
    path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
