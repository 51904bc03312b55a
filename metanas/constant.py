"""Small tables that do not change, sent to a device once."""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor


@lru_cache(maxsize=1024)
def constant(values: tuple[Any, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """`values`, a number or nested tuples of numbers, as a tensor that nobody may change.

    The same call gives the same tensor: a table that is sent to a GPU in every step makes the host wait, and cannot be
    recorded (`metanas.recorder`).
    """
    return torch.tensor(values, dtype=dtype, device=device)
