import io

import pytest

from metanas.track import Progress
from metanas.track.console import duration


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_lines_carry_figures_and_time_left() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress("iter", 1500, every=200, stream=stream, clock=clock) as progress:
        for done in range(1, 401):
            clock.now += 0.1
            progress.update(done, loss=0.83, acc=0.71, tasks_per_s=38.2)
    assert stream.getvalue().splitlines() == [
        "iter 200/1500  loss 0.830  acc 0.710  38 tasks/s  2m10s left",
        "iter 400/1500  loss 0.830  acc 0.710  38 tasks/s  1m50s left",
    ]


def test_a_noted_figure_waits_for_the_next_line() -> None:
    stream = io.StringIO()
    with Progress("iter", 2, every=1, stream=stream, clock=Clock()) as progress:
        progress.note(validation=0.75)
        assert stream.getvalue() == ""
        progress.update(2, loss=0.5)
    assert stream.getvalue() == "iter 2/2  validation 0.750  loss 0.500  0s in all\n"


def test_the_last_unit_always_has_a_line() -> None:
    stream, clock = io.StringIO(), Clock()
    with Progress("episode", 7, every=5, stream=stream, clock=clock) as progress:
        for done in range(1, 8):
            clock.now += 1
            progress.update(done)
    assert stream.getvalue().splitlines() == ["episode 5/7  2s left", "episode 7/7  7s in all"]


def test_steps_larger_than_every_are_not_lost() -> None:
    stream = io.StringIO()
    with Progress("iter", 100, every=10, stream=stream, clock=Clock()) as progress:
        progress.update(16)
        progress.update(19)
        progress.update(32)
    assert [line.split()[1] for line in stream.getvalue().splitlines()] == ["16/100", "32/100"]


def test_a_resumed_run_does_not_count_old_work_as_speed() -> None:
    clock = Clock()
    with Progress("iter", 1000, every=100, quiet=True, done=900, clock=clock) as progress:
        for done in range(901, 911):
            clock.now += 1
            progress.update(done)
        assert progress.rate() == pytest.approx(1.0)


def test_the_rate_forgets_a_slow_start_and_keeps_regular_pauses() -> None:
    clock = Clock()
    with Progress("iter", 10_000, every=100, quiet=True, clock=clock) as progress:
        assert progress.rate() is None
        clock.now += 60
        progress.update(1)
        for done in range(2, 3000):
            clock.now += 0.5 if done % 10 == 0 else 0.1
            progress.update(done)
        assert progress.rate() == pytest.approx(10 / 1.4, rel=0.05)


def test_quiet_is_silent() -> None:
    for stream in (io.StringIO(), Terminal()):
        with Progress("iter", 2, every=1, quiet=True, stream=stream) as progress:
            progress.update(2)
        assert stream.getvalue() == ""


def test_a_terminal_gets_a_live_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    stream = Terminal()
    with Progress("iter", 4, every=100, stream=stream) as progress:
        progress.update(4, loss=0.5)
    assert "4/4" in stream.getvalue()
    assert "loss 0.500" in stream.getvalue()


def test_no_color_leaves_out_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    shown = {}
    for value in ("", "1"):
        monkeypatch.setenv("NO_COLOR", value)
        stream = Terminal()
        with Progress("iter", 4, every=100, stream=stream) as progress:
            progress.update(2)
        shown[value] = stream.getvalue()
    colours = [f"\x1b[{code}m" for code in (32, 33, 35, 36)]
    assert any(colour in shown[""] for colour in colours)
    assert not any(colour in shown["1"] for colour in colours)


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with Progress("iter", 1, every=1, stream=stream, clock=Clock()) as progress:
        progress.update(1)
    assert stream.getvalue() == "iter 1/1  0s in all\n"


def test_standard_output_stays_free(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("iter", 1, every=1) as progress:
        progress.update(1)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("iter 1/1")


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "0s"), (59.7, "1m00s"), (3599.9, "1h00m")])
def test_durations_round_up_into_the_next_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text
