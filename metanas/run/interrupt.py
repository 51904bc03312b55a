"""Ctrl-C and SIGTERM as a question that a loop asks, so that it can save before it goes."""

import signal
from types import FrameType, TracebackType
from typing import Self


class Interrupted(Exception):
    """The run was asked to stop and has saved; `exit_code` is 128 plus the signal's number."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


class Interrupt:
    """Remembers the first SIGINT or SIGTERM; a second one ends the process at once.

    A context manager; outside it the signals do what they did before.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _remember(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.signal = number
        signal.signal(number, signal.SIG_DFL)

    def check(self) -> None:
        """Raises `Interrupted` when a signal came."""
        if self.signal is not None:
            raise Interrupted(self.signal)
