"""Checkpoints that survive: written atomically, verified by checksum, the previous one kept until the new one is safe.

A directory holds `last.pt`, `prev.pt`, perhaps `best.pt`, and `manifest.json` with their SHA-256 sums; a flipped bit
would otherwise load without complaint (pytorch/pytorch#126952). Contents are tensors and plain containers only, read
with `weights_only=True`.
"""

import hashlib
import io
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

import torch

from metanas.atomic import write_atomically
from metanas.errors import CheckpointError

log = logging.getLogger(__name__)

State = Mapping[str, object]
"""Tensors, numbers, strings, and lists and dicts of these."""


class Checkpoints:
    """The checkpoint directory of a run."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def save(self, name: str, state: State) -> None:
        """Writes `state` as `name` ("last", "best"); the old "last" becomes "prev". Raises `OSError` on a full disk."""
        self.directory.mkdir(parents=True, exist_ok=True)
        for stale in self.directory.glob(".*.tmp*"):  # left behind by a process that was killed while writing
            stale.unlink()
        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        content = buffer.getvalue()
        target = self._path(name)
        sums = self._settled(name)
        if name == "last" and target.exists() and "last" in sums:
            # A hard link and a rename: `prev` is complete at every moment.
            spare = self.directory / ".prev.link"
            spare.unlink(missing_ok=True)
            os.link(target, spare)
            os.replace(spare, self._path("prev"))
            sums["prev"] = sums["last"]
        # The sum goes first under a name of its own: whichever of the two files a crash leaves behind, one sum fits.
        digest = hashlib.sha256(content).hexdigest()
        self._write_sums({**sums, f"{name}.next": digest})
        write_atomically(target, content)
        self._write_sums({**sums, name: digest})

    def load(self, name: str) -> dict[str, object]:
        """The state saved as `name`; a damaged "last" is replaced by "prev" with a warning.

        Raises:
            CheckpointError: nothing there, or damaged without a replacement.
        """
        try:
            return self._verified(name)
        except CheckpointError as error:
            if name != "last" or not self._path("prev").exists():
                raise
            log.warning("%s; going back to the checkpoint before it", error)
            return self._verified("prev")

    def has(self, name: str) -> bool:
        """Whether a checkpoint of that name was written."""
        return self._path(name).exists()

    def _verified(self, name: str) -> dict[str, object]:
        path = self._path(name)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise CheckpointError(f"no checkpoint {path}: {error.strerror}; meta-train the run first") from error
        sums = self._sums()
        known = [sums[key] for key in (name, f"{name}.next") if key in sums]
        if name == "prev" and "last" in sums:
            known.append(sums["last"])  # a crash between moving last to prev and writing the sums
        actual = hashlib.sha256(content).hexdigest()
        if actual not in known:
            raise CheckpointError(
                f"checkpoint {path} is damaged or foreign: "
                f"expected SHA-256 {' or '.join(k[:12] for k in known) or 'unknown'}, got {actual[:12]}; "
                "restore the file or train again"
            )
        try:
            state = torch.load(io.BytesIO(content), weights_only=True, map_location="cpu")
        except Exception as error:  # what is no checkpoint makes torch raise nearly anything
            raise CheckpointError(f"checkpoint {path} is foreign: expected tensors and plain containers") from error
        if not isinstance(state, dict):
            raise CheckpointError(f"checkpoint {path} is foreign: expected a dictionary, got {type(state).__name__}")
        return state

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.pt"

    def _settled(self, name: str) -> dict[str, str]:
        """The sums, with one for `name` where a crash between the file and its sum has left two."""
        sums = self._sums()
        pending = sums.pop(f"{name}.next", None)
        path = self._path(name)
        if pending and path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == pending:
            sums[name] = pending
        return sums

    def _sums(self) -> dict[str, str]:
        path = self.directory / "manifest.json"
        if not path.exists():
            return {}
        try:
            sums = json.loads(path.read_text(encoding="utf-8"))
            return {str(k): str(v) for k, v in sums.items()}
        except (ValueError, AttributeError) as error:
            raise CheckpointError(f"{path} is damaged: {error}; restore the file or train again") from error

    def _write_sums(self, sums: Mapping[str, str]) -> None:
        write_atomically(self.directory / "manifest.json", json.dumps(dict(sums), indent=1).encode())
