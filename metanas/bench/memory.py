"""The memory that a piece of work needs at its peak."""

import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from threading import Thread

import torch

from metanas.allocator import release_freed_memory
from metanas.errors import RunError


def peak_bytes(work: Callable[[], object], device: str = "cpu") -> int:
    """How far `work` makes memory grow at its peak, in bytes: that of a process, or that of a GPU.

    On a CPU it runs in a forked process of its own, to which no memory is left over that this one has freed. On a GPU
    the memory of graphs that are recorded in it counts, and stays.
    """
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return int(torch.cuda.max_memory_allocated(device)) - before
    release_freed_memory()
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_grow, args=(work, there, os.getpid()), daemon=True)
    process.start()
    there.close()
    try:
        return int(here.recv())
    except EOFError as error:
        raise RunError("a process that measures memory has died, perhaps for lack of it; use --quick") from error
    finally:
        process.kill()  # it has answered, or nobody waits for its answer any more
        process.join()


def _grow(work: Callable[[], object], answer: Connection, parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent's affair
    Thread(target=_end_with, args=(parent,), daemon=True).start()
    before = _resident()
    work()
    answer.send(_resident() - before)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)


def _resident() -> int:
    """The most memory that this process has held so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
