"""Pickles that are read, and pickles that would do something."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks import DataError
from tasks.plain_pickle import read_pickle

PIXELS = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
CONTENT = {
    "image_data": PIXELS,
    "class_dict": {"n01532829": [0, 1], "n01558993": range(2), "n01704323": np.arange(2)},
    "labels": np.array([3, -1], dtype=">i4"),
    "fortran": np.asfortranarray(PIXELS[0, :, :, 0].astype(np.float32)),
    "number": np.int64(7),
    "plain": [None, True, 1.5, "text", b"bytes \xff", (1, 2)],
}


def written(path: Path, content: object, protocol: int = pickle.DEFAULT_PROTOCOL) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


def assert_equal(found: object, expected: object) -> None:
    if isinstance(expected, np.ndarray):
        assert isinstance(found, np.ndarray)
        assert found.dtype.newbyteorder("=") == expected.dtype.newbyteorder("=")
        assert np.array_equal(found, expected)
    elif isinstance(expected, dict):
        assert isinstance(found, dict)
        assert list(found) == list(expected)
        for key in expected:
            assert_equal(found[key], expected[key])
    else:
        assert found == expected


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_is_plain_is_read(tmp_path: Path, protocol: int) -> None:
    found = read_pickle(written(tmp_path / "x.pkl", CONTENT, protocol))
    assert_equal(found, CONTENT)
    assert isinstance(found, dict)
    assert torch.equal(torch.from_numpy(found["image_data"].copy()), torch.from_numpy(PIXELS))


def test_arrays_of_numpy_2_are_read(tmp_path: Path) -> None:
    content = pickle.dumps(PIXELS, protocol=2).replace(b"cnumpy.core.multiarray\n", b"cnumpy._core.multiarray\n")
    assert b"_core" in content
    (tmp_path / "x.pkl").write_bytes(content)
    assert_equal(read_pickle(tmp_path / "x.pkl"), PIXELS)


def test_arrays_of_python_2_are_read(tmp_path: Path) -> None:
    # What cPickle of Python 2.7 wrote for {'a': numpy.array([1, 200], 'uint8')}: bytes without a mark that they are.
    state = (
        b"(K\x01K\x02\x85cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR" + state + b"\x89U\x02\x01\xc8tb"
    )
    (tmp_path / "x.pkl").write_bytes(b"\x80\x02}U\x01a" + array + b"s.")
    assert_equal(read_pickle(tmp_path / "x.pkl"), {"a": np.array([1, 200], dtype=np.uint8)})


class Canary:
    def __init__(self, call: Callable[..., object], *arguments: object) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call, self.arguments


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nothing_that_a_pickle_asks_for_is_called(tmp_path: Path, protocol: int) -> None:
    canary = tmp_path / "canary"
    path = written(tmp_path / "x.pkl", {"image_data": Canary(os.mkdir, str(canary))}, protocol)
    with pytest.raises(DataError, match=r"x.pkl: expected a pickle of numbers.* asks for (posix|nt).mkdir, which is"):
        read_pickle(path)
    assert not canary.exists()
    pickle.loads(path.read_bytes())  # a plain pickle would have run it
    assert canary.exists()


@pytest.mark.parametrize(
    ("content", "asked"),
    [
        (Canary(eval, "1"), "eval"),
        (Canary(getattr, "", "join"), "getattr"),
        (Canary(np.load, "x.npy"), "load"),
        (np.array([{}, 1], dtype=object), "an array of 'O8'"),
        (np.array(["text"]), "an array of 'U4'"),
        (np.dtype([("a", "u1")]), "an array of 'V1'"),
        (torch.zeros(1), "torch"),
        (Path("x"), "pathlib"),
    ],
)
def test_what_is_not_plain_is_refused_by_name(tmp_path: Path, content: object, asked: str) -> None:
    with pytest.raises(DataError, match=asked) as caught:
        read_pickle(written(tmp_path / "x.pkl", content))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [(3, 3, 4, 3), (2**40,), (-72,), (-1, -72)])
def test_an_array_of_another_size_than_its_bytes_is_refused(tmp_path: Path, size: tuple[int, ...]) -> None:
    function, arguments, (version, _, dtype, order, data) = PIXELS.__reduce__()

    class Forged:
        def __reduce__(self) -> object:
            return function, arguments, (version, size, dtype, order, data)

    with pytest.raises(DataError, match="it holds 72 bytes for an array of"):
        read_pickle(written(tmp_path / "x.pkl", Forged()))


def test_a_damaged_pickle_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    content = pickle.dumps(CONTENT, protocol=2)
    path = tmp_path / "x.pkl"
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match="x.pkl: expected a pickle .* fetch the file again"):
            read_pickle(path)
    with pytest.raises(DataError, match="No such file"):
        read_pickle(tmp_path / "y.pkl")
