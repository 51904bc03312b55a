"""Progress for people: a live bar on a terminal, one plain line every N steps anywhere else.

    iter 200/1500  loss 0.83  acc 0.71  38 tasks/s  1m40s left

Both go to standard error, so that standard output stays free for results. Colours are left out when
`NO_COLOR` is set.
"""

import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

_MAX_SAMPLES = 512


class Progress:
    """Shows how far something is, as a context manager.

    >>> with Progress("iter", 10, every=5, quiet=True) as progress:
    ...     progress.update(5, loss=0.83)

    Args:
        title: the unit of work, "iter" or "episode".
        total: units in all.
        every: units between two plain lines; the last unit always gets a line.
        quiet: show nothing.
        done: units that an earlier process did; they do not count as speed.
        stream: where to write; standard error by default.
        clock: seconds from any origin.
    """

    def __init__(
        self,
        title: str,
        total: int,
        every: int,
        quiet: bool = False,
        *,
        done: int = 0,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare, without showing anything yet."""
        self._title, self._total, self._every, self._quiet = title, total, max(1, every), quiet
        self._stream, self._clock = stream or sys.stderr, clock
        self._done = self._printed = done
        self._samples = [(clock(), done)]
        self._figures: dict[str, float] = {}
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        """Start the clock, and the bar on a terminal."""
        self._samples = [(self._clock(), self._done)]
        if not self._quiet and self._stream.isatty() and os.environ.get("TERM") != "dumb":
            self._bar = _bar(self._stream)
            self._bar.add_task(self._title, total=self._total, completed=self._done, note="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last state of the bar on the screen."""
        del kind, error, trace
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def update(self, done: int, **figures: float) -> None:
        """Show that `done` units are done; a figure stays until another value replaces it."""
        self._done = done
        self._figures |= figures
        self._samples.append((self._clock(), done))
        if len(self._samples) > _MAX_SAMPLES:
            self._samples = self._samples[:-1:2] + self._samples[-1:]
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=done, note="  ".join(self._notes()))
        elif self._is_due(done):
            self._printed = done
            line = "  ".join([f"{self._title} {done}/{self._total}", *self._notes()])
            print(line, file=self._stream, flush=True)

    def note(self, **figures: float) -> None:
        """Keep figures for the next `update`."""
        self._figures |= figures

    def _is_due(self, done: int) -> bool:
        is_last = done >= self._total and done > self._printed
        return is_last or done // self._every > self._printed // self._every

    def rate(self) -> float | None:
        """Units per second over the latter half of the time so far, or None before the first unit.

        The latter half leaves out the slow first steps, contains the pauses for validation in their share,
        and follows a machine that becomes slower.
        """
        first, (last, done) = self._samples[0][0], self._samples[-1]
        middle = (first + last) / 2
        start, before = next(sample for sample in reversed(self._samples) if sample[0] <= middle)
        return (done - before) / (last - start) if last > start and done > before else None

    def _notes(self) -> list[str]:
        return [*(_figure(name, value) for name, value in self._figures.items()), *self._time()]

    def _time(self) -> list[str]:
        if self._done >= self._total:
            return [f"{duration(self._samples[-1][0] - self._samples[0][0])} in all"]
        rate = self.rate()
        return [f"{duration((self._total - self._done) / rate)} left"] if rate else []


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(8.4), duration(100), duration(7260)
    ('8s', '1m40s', '2h01m')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"


def _figure(name: str, value: float) -> str:
    """`loss 0.83`, or `38 tasks/s` for a name such as `tasks_per_s`."""
    is_speed = name.endswith("_per_s")
    is_whole = isinstance(value, int) or abs(value) >= (10 if is_speed else 1000)
    text = f"{value:.0f}" if is_whole else f"{value:#.3g}".rstrip(".")
    return f"{text} {name.removesuffix('_per_s')}/s" if is_speed else f"{name.replace('_', ' ')} {text}"


def _bar(stream: TextIO) -> "Bar":
    """A rich bar that leaves standard output alone."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("{task.description}", style="bold", markup=False),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=Console(file=stream),
        refresh_per_second=4,
        redirect_stdout=False,
        redirect_stderr=False,
    )
