"""Work on several CPU cores at once, with the result of one.

Kernels release Python's lock, so threads are enough. A skeleton cannot be called by two threads at a time (a functional
call swaps its tensors in and out), so each thread holds a collaborator of its own.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

Mine = TypeVar("Mine")
Item = TypeVar("Item")
Result = TypeVar("Result")


def share_out(
    function: Callable[[Mine, Item], Result], collaborators: Sequence[Mine], items: Sequence[Item]
) -> list[Result]:
    """`function(collaborator, item)` for every item, in the order of the items.

    Args:
        function: run on as many threads as there are collaborators; must depend on its arguments only.
        collaborators: equal objects, each used by one thread at a time.
        items: what to work on.
    """
    if len(collaborators) == 1 or len(items) == 1:
        return [function(collaborators[0], item) for item in items]
    free: SimpleQueue[Mine] = SimpleQueue()
    for collaborator in collaborators:
        free.put(collaborator)

    def run(item: Item) -> Result:
        mine = free.get()
        try:
            return function(mine, item)
        finally:
            free.put(mine)

    with ThreadPoolExecutor(len(collaborators)) as pool:
        return list(pool.map(run, items))
