"""One tracker out of several, in which only the truth may stop a run.

Losing the network, the disk quota of a service, or a service's process must not lose hours of training. So
the first tracker is the truth and its errors are the run's errors, while every other tracker is a copy: its
first error is logged in one line and the copy is dropped.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from metanas.track.tracker import Row, Tracker

_log = logging.getLogger(__name__)


class FanOut:
    """Hands every record to the truth, then to the copies that still work.

    Args:
        trackers: the first one is the truth (`metrics.jsonl`), the others are copies; may be empty.
    """

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        """Split the truth from the copies."""
        self._truth = tuple(trackers[:1])
        self._copies = list(trackers[1:])

    def log(self, row: Row) -> None:
        """Record one row everywhere."""
        self._send(lambda tracker: tracker.log(row))

    def image(self, name: str, path: Path, iteration: int) -> None:
        """Record one picture everywhere."""
        self._send(lambda tracker: tracker.image(name, path, iteration))

    def artifact(self, name: str, kind: str, path: Path, aliases: tuple[str, ...]) -> None:
        """Record one file or directory everywhere."""
        self._send(lambda tracker: tracker.artifact(name, kind, path, aliases))

    def finish(self, exit_code: int) -> None:
        """Finish every tracker, the copies even when the truth raises."""
        try:
            for truth in self._truth:
                truth.finish(exit_code)
        finally:
            for copy in self._copies:
                _attempt(copy, lambda tracker: tracker.finish(exit_code))
            self._copies = []

    def _send(self, record: Callable[[Tracker], None]) -> None:
        for truth in self._truth:
            record(truth)
        for copy in list(self._copies):
            if not _attempt(copy, record):
                self._copies.remove(copy)
                with suppress(Exception):  # only to release its processes; its failure has been reported
                    copy.finish(1)


def _attempt(copy: Tracker, record: Callable[[Tracker], None]) -> bool:
    """Whether the copy took the record; a failure is one line in the log."""
    try:
        record(copy)
    except Exception as error:
        reason = " ".join(str(error).split()) or "no message"
        _log.warning(
            "tracker %s failed with %s: %s; it is dropped, the run goes on and metrics.jsonl stays complete",
            type(copy).__name__,
            type(error).__name__,
            reason,
        )
        return False
    return True
