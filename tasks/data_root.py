"""Where data and caches lie: the configuration first, then the environment."""

import os
from pathlib import Path

from tasks.errors import DataError


def data_root(configured: str | None) -> Path:
    """The directory of the downloaded data sets: `configured`, else the environment variable METANAS_DATA.

    Raises:
        DataError: when neither is set.
    """
    chosen = find_data_root(configured)
    if chosen is None:
        raise DataError(
            "expected a directory of data sets, got none; set data.root=DIR or the environment variable METANAS_DATA"
        )
    return chosen


def find_data_root(configured: str | None) -> Path | None:
    """As `data_root`, but None when neither is set."""
    chosen = configured or os.environ.get("METANAS_DATA")
    return Path(chosen).expanduser() if chosen else None


def cache_root() -> Path:
    """The directory of decoded data: METANAS_CACHE, else XDG_CACHE_HOME/metanas, else ~/.cache/metanas."""
    chosen = os.environ.get("METANAS_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG rules tell to ignore a relative path, an empty one included.
    return (base if base.is_absolute() else Path.home() / ".cache") / "metanas"
