"""What every value of a configuration must be; a wrong one is a `ConfigError` that names its key."""

from metanas.errors import ConfigError


def check_name(name: str) -> None:
    """Raises `ConfigError` when a run of that name could not have a directory."""
    if not name or set(name) & set("/\\\0") or name in (".", ".."):
        raise ConfigError(f"name must be usable as a directory name, got {name!r}")


def between(key: str, value: float, least: float, most: float) -> None:
    """Raises `ConfigError` when the value of `key` is not in least..most, NaN included."""
    if not least <= value <= most:
        raise ConfigError(f"{key} must be in {least}..{most}, got {value}")
