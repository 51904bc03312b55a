"""The loop that all long runs share: it saves when it is time or a signal asks, and hands what is measured on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from metanas.config_file import AnyExperiment
from metanas.run.directory import RunDirectory
from metanas.run.interrupt import Interrupt
from metanas.run.trackers import open_trackers
from metanas.track.tracker import TRAIN_STEP, Tracker


class Counted(Protocol):
    """A state that knows how far it is."""

    @property
    def iteration(self) -> int:
        """Turns done."""
        ...


State = TypeVar("State", bound=Counted)


def drive(
    state: State,
    turn: Callable[[State], State],
    save: Callable[[State], None],
    *,
    is_done: Callable[[State], bool],
    save_every: int,
) -> State:
    """`turn` after `turn` until all is done; raises `Interrupted` after a signal, once the state is saved."""
    with Interrupt() as interrupt:
        while not is_done(state):
            state = turn(state)
            if is_due(state.iteration, save_every, is_last=is_done(state)) or interrupt.signal is not None:
                save(state)
            interrupt.check()
    return state


def is_due(done: int, every: int, *, is_last: bool) -> bool:
    """Whether something that happens every `every` turns, and after the last one, happens now; 0 is never."""
    return every > 0 and (done % every == 0 or is_last)


@contextmanager
def tracked(
    directory: RunDirectory, experiment: AnyExperiment, resume_from: int | None, position: str = TRAIN_STEP
) -> Iterator[Tracker]:
    """The trackers of a run, finished in the end with its exit code; arguments as of `open_trackers`."""
    trackers = open_trackers(directory, experiment, resume_from, position)
    exit_code = 1
    try:
        yield trackers
        exit_code = 0
    finally:
        trackers.finish(exit_code)
