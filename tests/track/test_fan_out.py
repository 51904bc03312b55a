import logging
from pathlib import Path

import pytest

from metanas.track import FanOut, Row, Tracker


class Recorder:
    """A tracker that remembers its calls, and fails in those that it is told to."""

    def __init__(self, *failing: str) -> None:
        self.calls: list[str] = []
        self._failing = failing

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name in self._failing:
            raise RuntimeError("the service\nis gone")

    def log(self, row: Row) -> None:
        self._call("log")

    def image(self, name: str, path: Path, iteration: int) -> None:
        self._call("image")

    def artifact(self, name: str, kind: str, path: Path, aliases: tuple[str, ...]) -> None:
        self._call("artifact")

    def finish(self, exit_code: int) -> None:
        self._call("finish")


def use(tracker: Tracker) -> None:
    tracker.log({"meta/iter": 1})
    tracker.log({"meta/iter": 2})
    tracker.image("cell", Path("cell.png"), 2)
    tracker.artifact("genotype", "genotype", Path("genotype.json"), ("latest",))
    tracker.finish(0)


def test_fan_out_is_a_tracker_of_any_number() -> None:
    assert isinstance(FanOut([]), Tracker)
    use(FanOut([]))


@pytest.mark.parametrize("call", ["log", "image", "artifact", "finish"])
def test_a_failing_copy_warns_once_and_the_others_keep_receiving(call: str, caplog: pytest.LogCaptureFixture) -> None:
    truth, broken, copy = Recorder(), Recorder(call), Recorder()
    with caplog.at_level(logging.WARNING):
        use(FanOut([truth, broken, copy]))
    (record,) = caplog.records
    message = record.getMessage()
    assert "Recorder failed with RuntimeError: the service is gone" in message
    assert "\n" not in message
    assert truth.calls == copy.calls == ["log", "log", "image", "artifact", "finish"]
    assert broken.calls.count(call) == 1
    assert broken.calls[-1] == "finish"


def test_the_truth_may_stop_the_run() -> None:
    with pytest.raises(RuntimeError, match="service"):
        FanOut([Recorder("log")]).log({"meta/iter": 1})


def test_copies_are_finished_even_when_the_truth_fails() -> None:
    copy = Recorder()
    with pytest.raises(RuntimeError, match="service"):
        FanOut([Recorder("finish"), copy]).finish(1)
    assert copy.calls == ["finish"]


def test_an_interruption_passes() -> None:
    class Interrupted(Recorder):
        def log(self, row: Row) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        FanOut([Recorder(), Interrupted()]).log({"meta/iter": 1})
