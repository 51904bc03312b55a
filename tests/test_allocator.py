import platform
import subprocess
import sys

import pytest

COUNT = """
import resource, sys, torch
from metanas.allocator import keep_freed_memory

if sys.argv[1] == "keep":
    assert keep_freed_memory()

def step():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.ones(100_000) for _ in range(64)]
    del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

step()
print(step())  # later ones find their memory either way: the C library learns, but only from this simple pattern
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_a_second_step_finds_its_memory_mapped() -> None:
    def faults(how: str) -> int:
        done = subprocess.run([sys.executable, "-c", COUNT, how], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert faults("keep") < 0.5 * faults("leave")
