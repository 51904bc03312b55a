import platform
import subprocess
import sys

import pytest

BLOCKS = 64
BLOCK_BYTES = 400_000
KEPT = f"""
import torch
from pathlib import Path
from metanas.allocator import keep_freed_memory, release_freed_memory

def resident():  # kB of its own: pages of libraries come when they are first used. No faults: pages may be huge
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))

assert keep_freed_memory()
before = resident()
blocks = [torch.ones({BLOCK_BYTES // 4}) for _ in range({BLOCKS})]
del blocks
after = resident()
release_freed_memory()
print(1000 * (after - before), 1000 * (resident() - before))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_freed_memory_stays_until_it_is_released() -> None:
    # No look at what happens without the setting: whether the C library keeps blocks of this size then, it learns.
    done = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, text=True, check=True)
    kept, released = map(int, done.stdout.split())
    step = BLOCKS * BLOCK_BYTES
    assert kept > 0.8 * step
    assert released < 0.5 * step
