"""The global generators, for code of others that draws with them."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(rng: torch.Generator) -> Iterator[None]:
    """The global generators of Python, numpy and torch (CPU) start from `rng`, and are put back at the end."""
    seeds = torch.randint(2**32, (3,), generator=rng).tolist()
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        random.seed(seeds[0])
        np.random.seed(seeds[1])
        torch.default_generator.manual_seed(seeds[2])
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
