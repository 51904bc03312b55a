"""The files of a run directory as a report reads them, and the parts of a page that all reports share."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from metanas.errors import RunError
from metanas.evaluate import figures, page
from metanas.evaluate.page import Html

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, object]
"""A JSON object of the run directory."""


def existing(path: Path) -> Path:
    """`path`, which must be a file; raises `RunError`."""
    if not path.is_file():
        raise RunError(
            f"expected a run directory with {path.name}, got none in {path.parent}; "
            "give the directory that meta-train printed"
        )
    return path


def text(path: Path) -> str:
    """The content of a file that must be there."""
    return existing(path).read_text(encoding="utf-8", errors="replace")


def record(path: Path) -> Record:
    """The JSON object of a file, empty when the file is missing."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise RunError(f"expected JSON in {path}, got {error}; delete the file and evaluate again") from error
    if not isinstance(found, dict):
        raise RunError(f"expected a JSON object in {path}, got {type(found).__name__}; evaluate the run again")
    return found


def environment(env: Record) -> list[Html]:
    """Versions and machine of a run, where they are known."""
    if not env:
        return []
    rows = [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in env.items()]
    return [page.section("Environment", page.table(("", ""), rows, is_text=True))]


def figure(drawn: "Figure", alt: str, caption: str) -> Html:
    """A figure with its caption."""
    return page.picture(figures.encode(drawn, "svg"), alt, caption)


def cell_pictures(folder: Path, title: str) -> list[Html]:
    """A section with the SVG files of `folder`, where there are any."""
    pictures = sorted(folder.glob("*.svg")) if folder.is_dir() else []
    parts = [page.picture(path.read_bytes(), path.stem, is_framed=False) for path in pictures]
    return [page.section(title, *parts)] if parts else []
