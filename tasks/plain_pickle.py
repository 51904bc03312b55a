"""Plain pickles: numbers, text, lists, dictionaries and numeric arrays, read without running what a pickle asks for.

A pickle may name any function of any installed package and have it called. The few names that arrays need are answered
by stand-ins of this file, which check what they are given; every other name is refused. Pickles of Python 2 and 3, and
of numpy before and after 2, are read alike.
"""

import math
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from tasks.errors import DataError

_NUMERIC = re.compile(r"b1|[iuf][1248]")
"""Types of numbers as a pickle spells them; texts and objects are none."""


def read_pickle(path: Path) -> object:
    """What the pickle in `path` holds: None, bool, int, float, str, bytes, range, list, tuple, dict, arrays of numbers.

    Raises:
        DataError: when the file is damaged, or asks for anything else; nothing of it has been called then.
    """
    try:
        with open(path, "rb") as file:
            return _PlainUnpickler(file, encoding="latin1").load()
    except Exception as error:  # a damaged pickle makes the unpickler raise nearly anything
        raise DataError(
            f"{path}: expected a pickle of numbers, text and arrays, got one that cannot be read "
            f"({str(error) or type(error).__name__}); fetch the file again"
        ) from error


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        """The stand-in for a function or class that the pickle names."""
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is refused")
        return _STAND_INS[module, name]


class _DType:
    """In place of numpy.dtype: the type of an array's numbers."""

    __slots__ = ("code", "order")

    def __init__(self, code: str, align: object, copy: object) -> None:
        del align, copy
        if not _NUMERIC.fullmatch(code):
            raise pickle.UnpicklingError(f"it holds an array of {code!r}, which is refused")
        self.code, self.order = code, "|"

    def __setstate__(self, state: Sequence[object]) -> None:
        if state[1] not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError(f"it holds an array in the byte order {state[1]!r}")
        self.order = str(state[1])

    def numpy(self) -> "numpy.dtype[Any]":
        return numpy.dtype(self.order + self.code)


class _Array(numpy.ndarray[Any, Any]):
    """In place of numpy.ndarray, whose own `__setstate__` would take objects."""

    def __setstate__(self, state: tuple[object, Sequence[int], _DType, object, bytes | str], /) -> None:  # type: ignore[override]
        _, shape, dtype, is_fortran, data = state
        content, resolved = _bytes(data), dtype.numpy()
        _check_size(content, shape, resolved)
        super().__setstate__((1, tuple(shape), resolved, bool(is_fortran), content))


def _empty_array(kind: object, shape: object, code: object) -> _Array:
    """In place of `_reconstruct`: the array that `__setstate__` will fill."""
    del kind, shape, code
    return numpy.ndarray.__new__(_Array, (0,), numpy.uint8)


def _array_of_bytes(data: bytes, dtype: _DType, shape: Sequence[int], order: str) -> NDArray[Any]:
    """In place of `_frombuffer`, with which newer pickles make arrays."""
    resolved = dtype.numpy()
    _check_size(data, shape, resolved)
    return numpy.frombuffer(data, resolved).reshape(tuple(shape), order="F" if order == "F" else "C")


def _number(dtype: _DType, data: bytes | str) -> object:
    """In place of `scalar`: one number."""
    content, resolved = _bytes(data), dtype.numpy()
    _check_size(content, (), resolved)
    return numpy.frombuffer(content, resolved)[0].item()


def _bytes(data: bytes | str, encoding: str = "latin1") -> bytes:
    """In place of `_codecs.encode`, as which older pickles write bytes; Python 2's bytes are read as latin1, too."""
    if encoding != "latin1" or not isinstance(data, bytes | str):
        raise pickle.UnpicklingError(f"it holds {type(data).__name__} in {encoding!r} where bytes belong")
    return data.encode("latin1") if isinstance(data, str) else data


def _check_size(data: bytes, shape: Sequence[int], dtype: "numpy.dtype[Any]") -> None:
    if math.prod(shape) * dtype.itemsize != len(data) or any(side < 0 for side in shape):
        raise pickle.UnpicklingError(f"it holds {len(data)} bytes for an array of {tuple(shape)} {dtype}")


_STAND_INS: dict[tuple[str, str], object] = {
    ("_codecs", "encode"): _bytes,
    ("builtins", "range"): range,
    ("__builtin__", "xrange"): range,
    ("numpy", "dtype"): _DType,
    ("numpy", "ndarray"): "ndarray",  # only handed on to _reconstruct
    **{
        (f"numpy.{core}.{module}", name): stand_in
        for core in ("core", "_core")  # before and after numpy 2
        for module, name, stand_in in (
            ("multiarray", "_reconstruct", _empty_array),
            ("multiarray", "scalar", _number),
            ("numeric", "_frombuffer", _array_of_bytes),
        )
    },
}
"""(module, name) that a pickle may ask for, and what it gets."""
