"""`metrics.jsonl`, the truth about a run: one JSON object a line, written before any copy sees the row.

After a `kill -9` the file may end in half a line and may hold rows of iterations that no checkpoint knows.
Opening it for a resume removes both, so that the file of a resumed run equals the file of an uninterrupted
one. JSON has no NaN: the three non-finite floats are written as the strings "NaN", "Infinity" and
"-Infinity", and `read_rows` turns exactly these back into floats.
"""

import json
import math
import os
from pathlib import Path

from metanas.errors import RunError
from metanas.track.tracker import TRAIN_STEP, Row

_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Jsonl:
    """Appends rows to a file, each complete on disk before `log` returns.

    Args:
        path: the file; created when it is missing, and so is its directory.
        resume_from: the checkpointed iteration. Rows whose position lies beyond it are dropped; rows without one
            (evaluation) stay. None keeps every row.
        position: the key of the position.
    """

    def __init__(self, path: Path, resume_from: int | None, position: str = TRAIN_STEP) -> None:
        """Repair the file that an earlier process left."""
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            _repair(path, resume_from, position)

    def log(self, row: Row) -> None:
        """Append one line."""
        # Opened per row: a line is in the hands of the system when this returns, and no handle can leak.
        with self._path.open("ab") as file:
            file.write(_encode(row))

    def image(self, name: str, path: Path, iteration: int) -> None:
        """Nothing: the picture already lies in the run directory."""
        del name, path, iteration

    def artifact(self, name: str, kind: str, path: Path, aliases: tuple[str, ...]) -> None:
        """Nothing: the file already lies in the run directory."""
        del name, kind, path, aliases

    def finish(self, exit_code: int) -> None:
        """Nothing: every row is complete already."""
        del exit_code


def read_rows(path: Path) -> list[dict[str, float | int | str]]:
    """The rows of a `metrics.jsonl`; half a line at the very end is left out.

    Raises:
        RunError: a line before the last one is no JSON object.
    """
    return [row for row, _ in _parse(path)]


def _parse(path: Path) -> list[tuple[dict[str, float | int | str], bytes]]:
    """Every complete row beside its line as it stands in the file, with the newline."""
    lines = path.read_bytes().splitlines(keepends=True)
    parsed = []
    for number, line in enumerate(lines, start=1):
        try:
            values = json.loads(line)
        except ValueError as error:
            if number == len(lines) and not line.endswith(b"\n"):
                break
            raise RunError(
                f"expected one JSON object a line in {path}, got line {number}: {line[:40]!r}; "
                "delete that line or restore the file"
            ) from error
        if not isinstance(values, dict):
            raise RunError(f"expected a JSON object in line {number} of {path}, got {line[:40]!r}; delete that line")
        row = {
            str(key): _NON_FINITE.get(value, value) if isinstance(value, str) else value
            for key, value in values.items()
        }
        parsed.append((row, line.rstrip(b"\r\n") + b"\n"))
    return parsed


def _encode(row: Row) -> bytes:
    plain = {key: _plain(value) for key, value in row.items()}
    return json.dumps(plain, allow_nan=False).encode() + b"\n"


def _plain(value: float | int | str) -> float | int | str:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _repair(path: Path, resume_from: int | None, position: str) -> None:
    """Drop half a last line and rows beyond the checkpoint, by a new file and a rename."""
    limit = math.inf if resume_from is None else resume_from
    kept = b"".join(line for row, line in _parse(path) if not _is_beyond(row, position, limit))
    if kept == path.read_bytes():
        return
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(kept)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _is_beyond(row: Row, position: str, limit: float) -> bool:
    reached = row.get(position)
    return isinstance(reached, int | float) and reached > limit
