"""Named random streams: every random choice is a pure function of (seed, names).

Because a stream is derived and never carried along, there is no random state to save: resuming at step 800, drawing
episode 17 twice, or running the tasks of a meta-batch in another order gives the same bits.
"""

import hashlib

import torch


def stream(seed: int, *names: str | int) -> torch.Generator:
    """A CPU generator that depends on `seed` and `names` only.

    Two streams with different names are independent for all practical purposes (the key is a SHA-256 digest).

    >>> a, b = stream(0, "episode", 3), stream(0, "episode", 3)
    >>> bool((torch.rand(4, generator=a) == torch.rand(4, generator=b)).all())
    True
    """
    key = "/".join(str(part) for part in (seed, *names)).encode()
    digest = hashlib.sha256(key).digest()
    # 63 bits: the generator takes a signed 64-bit seed.
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
