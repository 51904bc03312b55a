"""Wall-clock time that a GPU has really spent."""

import time

import torch


class Stopwatch:
    """Seconds since it was made; waits for a GPU to finish."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._start = self._now()

    def read(self) -> float:
        """Seconds so far."""
        return self._now() - self._start

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()
