"""Where a run computes."""

from typing import Literal

DeviceName = Literal["auto", "cpu", "cuda"]
"""`auto` takes a GPU where torch sees one."""
