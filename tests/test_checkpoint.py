import json
import logging
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from metanas.atomic import write_atomically
from metanas.checkpoint import Checkpoints
from metanas.errors import CheckpointError


def state(number: int) -> dict[str, object]:
    tensors = {"a": torch.full((300,), float(number)), "b": torch.arange(7) + number}
    return {"weights": tensors, "iteration": number, "name": f"n{number}", "rates": [0.1, None, True]}


def number_of(found: dict[str, object]) -> int:
    """Which `state` it is, after a comparison of all that it holds."""
    number = found["iteration"]
    assert isinstance(number, int)
    expected = state(number)
    weights, wanted = found.pop("weights"), expected.pop("weights")
    assert isinstance(weights, dict)
    assert isinstance(wanted, dict)
    assert weights.keys() == wanted.keys()
    assert all(torch.equal(weights[name], wanted[name]) for name in wanted)
    assert found == expected
    return number


@pytest.fixture
def saved(tmp_path: Path) -> Checkpoints:
    """State 1 as `prev`, state 2 as `last`, state 3 as `best`."""
    checkpoints = Checkpoints(tmp_path / "checkpoint")
    for number in (1, 2):
        checkpoints.save("last", state(number))
    checkpoints.save("best", state(3))
    return checkpoints


def path_of(checkpoints: Checkpoints, name: str) -> Path:
    return checkpoints.directory / name


def test_what_was_saved_is_loaded(saved: Checkpoints) -> None:
    assert [number_of(saved.load(name)) for name in ("prev", "last", "best")] == [1, 2, 3]
    assert [saved.has(name) for name in ("prev", "last", "best", "other")] == [True, True, True, False]


def test_nothing_else_is_left_in_the_directory(saved: Checkpoints) -> None:
    assert sorted(p.name for p in saved.directory.iterdir()) == ["best.pt", "last.pt", "manifest.json", "prev.pt"]


@pytest.mark.parametrize("share", range(20))
def test_one_flipped_bit_is_refused(saved: Checkpoints, share: int) -> None:
    path = path_of(saved, "best.pt")
    content = bytearray(path.read_bytes())
    content[share * (len(content) - 1) // 19] ^= 1 << share % 8
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{re.escape(str(path))} is damaged") as caught:
        saved.load("best")
    assert "\n" not in str(caught.value)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def exchange(path: Path) -> None:
    path.write_bytes(path.with_name("best.pt").read_bytes())


DAMAGES = [truncate, empty, exchange, Path.unlink]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_last_is_replaced_by_prev_with_a_warning(
    saved: Checkpoints, damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    damage(path_of(saved, "last.pt"))
    with caplog.at_level(logging.WARNING):
        assert number_of(saved.load("last")) == 1
    (record,) = caplog.records
    assert "last.pt" in record.getMessage()
    assert "going back to the checkpoint before it" in record.getMessage()


@pytest.mark.parametrize("damage", DAMAGES)
def test_without_a_sound_prev_a_damaged_last_is_refused(saved: Checkpoints, damage: Callable[[Path], None]) -> None:
    damage(path_of(saved, "last.pt"))
    empty(path_of(saved, "prev.pt"))
    with pytest.raises(CheckpointError, match="prev.pt is damaged"):
        saved.load("last")
    path_of(saved, "prev.pt").unlink()
    with pytest.raises(CheckpointError, match="last.pt"):
        saved.load("last")


def test_a_damaged_best_is_never_replaced(saved: Checkpoints) -> None:
    truncate(path_of(saved, "best.pt"))
    with pytest.raises(CheckpointError, match="best.pt is damaged"):
        saved.load("best")


def test_saving_over_a_damaged_last_repairs_the_directory(saved: Checkpoints) -> None:
    truncate(path_of(saved, "last.pt"))
    saved.save("last", state(4))
    assert number_of(saved.load("last")) == 4


def test_without_a_manifest_nothing_is_trusted(saved: Checkpoints) -> None:
    path_of(saved, "manifest.json").unlink()
    with pytest.raises(CheckpointError, match="expected SHA-256 unknown"):
        saved.load("last")


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00", '"a"'])
def test_a_damaged_manifest_is_named(saved: Checkpoints, text: str) -> None:
    path_of(saved, "manifest.json").write_text(text)
    with pytest.raises(CheckpointError, match="manifest.json is damaged") as caught:
        saved.load("last")
    assert "\n" not in str(caught.value)


class Payload:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.canary,)


@pytest.mark.parametrize("is_in_manifest", [False, True])
@pytest.mark.parametrize("write", [pickle.dump, torch.save])
def test_a_foreign_pickle_is_refused_and_does_not_run(
    saved: Checkpoints, tmp_path: Path, write: Callable[..., None], is_in_manifest: bool
) -> None:
    path, canary = path_of(saved, "best.pt"), tmp_path / "canary"
    with path.open("wb") as file:
        write({"weights": Payload(canary)}, file)
    if is_in_manifest:
        trust(saved, "best")
    with pytest.raises(CheckpointError, match=r"best.pt is (damaged or )?foreign") as caught:
        saved.load("best")
    assert "\n" not in str(caught.value)
    assert not canary.exists()


def trust(checkpoints: Checkpoints, name: str) -> None:
    """Writes the sum of the file into the manifest, as its author could."""
    from hashlib import sha256

    manifest = path_of(checkpoints, "manifest.json")
    sums = json.loads(manifest.read_text())
    sums[name] = sha256(path_of(checkpoints, f"{name}.pt").read_bytes()).hexdigest()
    manifest.write_text(json.dumps(sums))


@pytest.mark.parametrize("foreign", [[1, 2], 3, torch.zeros(2)])
def test_a_checkpoint_that_is_no_dictionary_is_refused(saved: Checkpoints, foreign: list[int] | int | Tensor) -> None:
    torch.save(foreign, path_of(saved, "best.pt"))
    trust(saved, "best")
    with pytest.raises(CheckpointError, match="expected a dictionary"):
        saved.load("best")


def test_a_file_that_torch_did_not_write_is_refused(saved: Checkpoints) -> None:
    path_of(saved, "best.pt").write_bytes(b"hello")
    trust(saved, "best")
    with pytest.raises(CheckpointError, match="best.pt is foreign"):
        saved.load("best")


def test_an_atomic_write_that_fails_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()  # cannot be replaced by a file
    with pytest.raises(OSError, match="target"):
        write_atomically(tmp_path / "target", b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["target"]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import torch
from metanas.checkpoint import Checkpoints
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
checkpoints = Checkpoints(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    checkpoints.save("last", {"iteration": 9, "weights": torch.zeros(10_000)})
except OSError as error:
    print(error.strerror)
"""

CRASHES = """
import logging, os, sys
from pathlib import Path
import torch
from metanas.checkpoint import Checkpoints
logging.disable()
WATCHED = {"open", "os.rename", "os.link", "os.remove"}
root = Path(sys.argv[1])
torch.set_num_threads(1)

def save(directory, number, limit):
    # Whether saving state `number` came to its end; the process dies before file operation `limit`.
    child = os.fork()
    if child == 0:
        seen = 0
        def watch(event, arguments):
            nonlocal seen
            if event in WATCHED and str(directory) in str(arguments[0]):
                seen += 1
                if seen > limit:
                    os._exit(9)
        sys.addaudithook(watch)
        Checkpoints(directory).save("last", {"iteration": number})
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

def content(directory):
    return {file.name: file.read_bytes() for file in directory.iterdir() if file.suffix in (".pt", ".json")}

def survivor(directory):
    return Checkpoints(directory).load("last")["iteration"]

def damaged(directory):
    (directory / "last.pt").write_bytes(b"")
    return survivor(directory)

first = second = 0
met = []
while True:
    one = root / f"{first}"
    Checkpoints(one).save("last", {"iteration": 1})
    done = save(one, 2, first)
    assert survivor(one) in ((2,) if done else (1, 2)), first
    kept = survivor(one)
    is_new = content(one) not in met
    met.append(content(one))
    second = 0
    while is_new:
        two = root / f"{first}-{second}"
        two.mkdir()
        for file in one.iterdir():
            os.link(file, two / file.name)
        ended = save(two, 3, second)
        assert survivor(two) in ((3,) if ended else (kept, 3)), (first, second)
        if ended:
            break
        second += 1
    assert not is_new or damaged(two) == kept, first
    if done:
        break
    first += 1
print(first)
"""


def run(program: str, directory: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, str(directory)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_full_disk_is_an_error_and_leaves_everything_as_it_was(saved: Checkpoints) -> None:
    assert run(FULL_DISK, saved.directory) == "File too large\n"
    assert number_of(saved.load("last")) == 2
    assert number_of(saved.load("best")) == 3
    assert sorted(p.name for p in saved.directory.iterdir()) == ["best.pt", "last.pt", "manifest.json", "prev.pt"]


def test_no_two_crashes_while_saving_lose_the_run(tmp_path: Path) -> None:
    """A process that dies before any of its file operations, and its successor likewise, leave a sound checkpoint."""
    assert int(run(CRASHES, tmp_path)) > 8
