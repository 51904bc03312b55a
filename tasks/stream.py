"""Named random streams: every random choice is a pure function of (seed, names).

Because a stream is derived and never carried along, there is no random state to save: resuming at step 800, drawing
episode 17 twice, or running the tasks of a meta-batch in another order gives the same bits.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import torch

_NAMES = "surrogateescape"  # of files that are no UTF-8


def stream(seed: int, *names: str | int) -> torch.Generator:
    """A CPU generator that depends on `seed` and `names` only.

    Two streams with different names are independent for all practical purposes (the key is a SHA-256 digest).

    >>> a, b = stream(0, "episode", 3), stream(0, "episode", 3)
    >>> bool((torch.rand(4, generator=a) == torch.rand(4, generator=b)).all())
    True
    """
    return torch.Generator().manual_seed(_seed(_key((seed, *names))))


def streams(seed: int, names: Sequence[str | int], numbers: Iterable[str | int]) -> Iterator[torch.Generator]:
    """`stream(seed, *names, number)` for one number after another, each gone when the next one is asked for.

    >>> [int(torch.randint(9, (), generator=rng)) for rng in streams(0, ["episode"], range(3))]
    [8, 5, 2]
    >>> [int(torch.randint(9, (), generator=stream(0, "episode", i))) for i in range(3)]
    [8, 5, 2]
    """
    rng, start = torch.Generator(), _key((seed, *names))
    for number in numbers:
        key = start.copy()
        key.update(f"/{number}".encode(errors=_NAMES))
        yield rng.manual_seed(_seed(key))


def _key(names: Sequence[str | int]) -> "hashlib._Hash":
    return hashlib.sha256("/".join(map(str, names)).encode(errors=_NAMES))


def _seed(key: "hashlib._Hash") -> int:
    return int.from_bytes(key.digest()[:8], "big") >> 1  # 63 bits: a generator takes a signed 64-bit seed
