"""The C library's allocator: told to keep what a step has freed for the next one, or to give it back.

By default it hands large blocks back to the kernel, which then clears and maps a new page for every 4 KiB of the next
activation. Every step of a training frees and asks for the same memory.
"""

import ctypes

_TRIM, _MMAP = -1, -3  # names of `mallopt`, from malloc.h
_MOST_KEPT = 2**31 - 1  # bytes, the largest int
_LARGEST = 32 * 2**20  # bytes of a block that may come from the heap, the most that glibc allows


def keep_freed_memory() -> bool:
    """Sets it for this process and those that it forks; False where the C library has no such setting."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_TRIM, _MOST_KEPT)) and bool(mallopt(_MMAP, _LARGEST))


def release_freed_memory() -> None:
    """Gives what is kept back to the kernel, where the C library can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
