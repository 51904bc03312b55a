"""What is not a number: whose fault it is, in words, and whether a run goes on without it."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from metanas.config import Meta
from metanas.errors import NonFiniteError
from metanas.run.state import Progressed

log = logging.getLogger(__name__)


@contextmanager
def blaming(numbers: Sequence[int], source: str) -> Iterator[None]:
    """Episodes of these `numbers` of a data set are worked on; a `NonFiniteError` then names those at fault."""
    try:
        yield
    except NonFiniteError as error:
        episodes = ", ".join(str(numbers[task]) for task in error.tasks)
        raise NonFiniteError(f"episodes {episodes} of {source}: {error}") from error


def without(state: Progressed, meta: Meta, what: str, error: NonFiniteError) -> Progressed:
    """`state` after one more thing has been left out, which `what` names.

    Raises:
        NonFiniteError: `meta.non_finite` leaves nothing out, or `meta.skips` have been.
    """
    if meta.non_finite == "raise" or state.skipped >= meta.skips:
        after = f", after {state.skipped} others were left out (meta.skips)" if state.skipped else ""
        raise NonFiniteError(f"{what}{after}: {error}", error.tasks) from error
    log.warning("%s left out: %s", what, error)
    return state._replace(skipped=state.skipped + 1)
