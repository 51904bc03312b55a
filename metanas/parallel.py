"""Work on several CPU cores at once, with the result of one.

Python's lock keeps threads from sharing small kernels, so the cores are used by forked processes. They hold the same
banks and skeletons without a copy, and because an episode is a function of its number, only parameters and numbers
travel.
"""

import multiprocessing
import os
import signal
import warnings
from collections.abc import Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

import torch

from metanas.errors import RunError


class Crew:
    """An object in this process and its copies in others; a context manager.

    Args:
        owner: whose methods are called; must not change, since copies do not see changes. Its methods take and return
            tensors, numbers, strings, and tuples, lists, dicts and named tuples of these.
        size: processes in all; 1 means this one alone.
    """

    def __init__(self, owner: object, size: int) -> None:
        self._owner = owner
        self._pipes: list[Connection] = []
        self._processes: list[Any] = []
        context = multiprocessing.get_context("fork")
        for _ in range(size - 1):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(owner, there, os.getpid()), daemon=True)
            with warnings.catch_warnings():
                # Python 3.12 warns of forking beside threads; the copies touch nothing that a thread could hold.
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
            there.close()
            self._pipes.append(here)
            self._processes.append(process)

    def map(self, method: str, items: Sequence[tuple[Any, ...]]) -> list[Any]:
        """`owner.method(*item)` for every item, in the order of the items; an exception in a copy is raised here."""
        workers = len(self._pipes) + 1
        shares = [list(range(i, len(items), workers)) for i in range(workers)]
        try:
            for pipe, share in zip(self._pipes, shares[1:], strict=True):
                if share:
                    pipe.send((method, [_pack(items[i]) for i in share]))
            try:
                results: dict[int, Any] = {i: getattr(self._owner, method)(*items[i]) for i in shares[0]}
            finally:  # an answer that is not read now would be taken for that of the next call
                answers = [pipe.recv() if share else [] for pipe, share in zip(self._pipes, shares[1:], strict=True)]
        except (EOFError, ConnectionError) as error:
            raise RunError("a worker process has died, perhaps for lack of memory; use fewer with threads=1") from error
        for share, answer in zip(shares[1:], answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            results |= zip(share, map(_unpack, answer), strict=True)
        return [results[i] for i in range(len(items))]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            pipe.close()
            process.kill()  # it holds nothing that needs saving
            process.join()


def _serve(owner: object, pipe: Connection, parent: int) -> None:
    """Answers calls until the parent is gone; signals are the parent's affair."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        while not pipe.poll(1.0):
            if os.getppid() != parent:
                os._exit(0)
        try:
            method, items = pipe.recv()
        except (EOFError, ConnectionError):
            os._exit(0)
        try:
            answer: Any = [_pack(getattr(owner, method)(*_unpack(item))) for item in items]
        except Exception as error:  # handed to the parent, which raises it
            answer = error
        pipe.send(answer)


def _pack(value: Any) -> Any:
    """Tensors as arrays: they are sent as bytes, where torch would pass a file handle for each."""
    return value.detach().numpy() if isinstance(value, torch.Tensor) else _inside(_pack, value)


def _unpack(value: Any) -> Any:
    """The inverse of `_pack`."""
    is_array = type(value).__module__ == "numpy" and hasattr(value, "shape")
    return torch.from_numpy(value) if is_array else _inside(_unpack, value)


def _inside(change: Any, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: change(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        entries = [change(entry) for entry in value]
        is_named = hasattr(value, "_fields")
        return type(value)(*entries) if is_named else type(value)(entries)
    return value
