"""Mistakes that a person can make, each with one root so that one place can turn them into one line."""


class MetaNasError(Exception):
    """Root of every error that this package raises on purpose."""


class ConfigError(MetaNasError, ValueError):
    """A configuration key, type or range that is wrong."""


class GenotypeError(MetaNasError, ValueError):
    """A genotype that the search space cannot build."""


class CheckpointError(MetaNasError, OSError):
    """A checkpoint that is missing, damaged, or of another experiment."""


class RunError(MetaNasError, OSError):
    """A run directory that cannot be made, is in use, or lacks what was asked for."""


class NonFiniteError(MetaNasError, ArithmeticError):
    """A loss or gradient that is not a number; names the step and the task.

    Args:
        message: for people.
        tasks: positions in their meta-batch of those that may be at fault, where it is known.
    """

    def __init__(self, message: str, tasks: tuple[int, ...] = ()) -> None:
        super().__init__(message)
        self.tasks = tasks


class MemoryShortError(MetaNasError, MemoryError):
    """A task that needs more memory than there is."""
