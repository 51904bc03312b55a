"""The C library's allocator: told to keep what a step has freed for the next one, or to give it back.

By default it hands large blocks back to the kernel, which then clears and maps a new page for every 4 KiB of the next
activation. Every step of a training frees and asks for the same memory. Blocks of every size are kept: a meta-batch of
colour images is larger than the 32 MB up to which glibc could be told to keep them one by one.
"""

import ctypes

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # names of `mallopt`, from malloc.h
_MOST_KEPT = 2**31 - 1  # bytes, the largest int


def keep_freed_memory() -> bool:
    """Sets it for this process and those that it forks; False where the C library has no such setting."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and bool(mallopt(_TRIM_THRESHOLD, _MOST_KEPT)) and bool(mallopt(_MMAP_MAX, 0))


def release_freed_memory() -> None:
    """Gives what is kept back to the kernel, where the C library can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
