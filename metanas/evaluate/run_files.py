"""The files of a run directory as a report reads them, and the parts of a page that all reports share."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from metanas.atomic import write_atomically
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


def write_page(run_dir: Path, build: Callable[[], Sequence[Html]], expected: str, remedy: str) -> Path:
    """Writes what `build` makes of a run's files as `run_dir/report.html`, and returns its path.

    Raises:
        RunError: a file has another content than `build` relies on: `expected` says what it should be, `remedy` what
            to do.
    """
    try:
        parts = build()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"expected {expected} in {run_dir}, got {type(error).__name__}: {error}; {remedy}") from error
    path = run_dir / "report.html"
    write_atomically(path, page.page(f"{run_dir.resolve().name}: report", *parts).encode())
    return path


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
