"""Work on a GPU that is recorded once and replayed: CUDA graphs of functions of tensors.

A supernet is hundreds of kernels of a few microseconds, and a host needs longer to start one than the GPU to finish
it. A graph starts all of them by one call. It is a fixed list of kernels on fixed memory, so what is recorded may look
at no value, neither to decide nor to print, and numbers that change from call to call have to be tensors.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import fields, is_dataclass
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor

from metanas.errors import ConfigError, RunError

T = TypeVar("T")

Engine = Literal["auto", "plain", "graph"]
"""Whether steps are recorded: `graph` on a GPU alone, `plain` never, `auto` wherever there is one."""

WARM_UPS = 2
"""Calls before the recording, in which libraries load their kernels and choose among them."""


class Recorder:
    """Calls functions on a GPU by graphs, each recorded at the first call of its kind.

    A kind is a name, the shapes of all tensors among the arguments, and everything else that they hold. The graphs
    share their memory, since no two run at once, and what they return is copied out of it.

    Args:
        most: graphs that are kept; the one that was not called for longest makes room.
    """

    def __init__(self, most: int = 32) -> None:
        self._most = most
        self._known: OrderedDict[Hashable, _Recording] = OrderedDict()
        self._pool: Any = None

    def __call__(self, name: object, function: Callable[..., T], *arguments: Any) -> T:
        """`function(*arguments)`, with nothing of it connected to the arguments in the autograd graph.

        Args:
            name: stands for the function: two that do the same have one name. Hashable.
            function: of the arguments alone; it may differentiate, and must not read a value of a tensor.
            arguments: tensors on one GPU, in any nesting of dictionaries, sequences and dataclasses; what else stands
                there must be hashable.

        Raises:
            RunError: the function cannot be recorded.
            torch.OutOfMemoryError: as the function itself would.
        """
        leaves, form = flatten(arguments)
        kind: Hashable = (name, form, tuple((leaf.shape, leaf.dtype) for leaf in leaves))
        found = self._known.get(kind)
        if found is None:
            self._pool = self._pool or torch.cuda.graph_pool_handle()
            found = self._known[kind] = _Recording(function, leaves, form, self._pool)
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        self._known.move_to_end(kind)
        result: T = found(leaves)
        return result


class _Recording:
    """One graph, with the tensors that it reads and writes."""

    def __init__(self, function: Callable[..., Any], leaves: list[Tensor], form: Hashable, pool: Any) -> None:
        self._inputs = [leaf.detach().clone() for leaf in leaves]
        arguments = rebuild(form, self._inputs)
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                function(*arguments)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(self._graph, pool=pool):
                outputs = function(*arguments)
        except RuntimeError as error:
            for cause in (error, error.__context__):  # the end of a recording that failed raises an error of its own
                if isinstance(cause, torch.OutOfMemoryError):
                    raise cause from None
            raise RunError(
                f"this step cannot be recorded as a CUDA graph ({str(error).splitlines()[0]}); set inner.engine=plain, "
                "or search.engine=plain"
            ) from error
        self._outputs, self._form = flatten(outputs)

    def __call__(self, leaves: list[Tensor]) -> Any:
        torch._foreach_copy_(self._inputs, [leaf.detach() for leaf in leaves])
        self._graph.replay()
        copies = [torch.empty_like(output) for output in self._outputs]
        torch._foreach_copy_(copies, [output.detach() for output in self._outputs])
        return rebuild(self._form, copies)


def check_engine(engine: str, device: torch.device) -> None:
    """Raises `ConfigError` for an engine that records where there is no GPU."""
    if engine == "graph" and device.type != "cuda":
        raise ConfigError(
            f"engine=graph records CUDA graphs and needs a GPU, got device={device.type}; take engine=auto"
        )


def is_recorded(engine: str, device: torch.device) -> bool:
    """Whether that engine records on `device`."""
    return engine in ("auto", "graph") and device.type == "cuda"


def as_input(number: float | Tensor, device: torch.device) -> Tensor:
    """A number that changes from call to call as a tensor `[]`; beside tensors with axes its precision is lost."""
    return number if isinstance(number, Tensor) else torch.full((), number, dtype=torch.float64, device=device)


recorded = Recorder()
"""The graphs of this process; like every cache, it changes how long a call takes and not what it gives."""


class _Leaf(NamedTuple):
    """The place of a tensor in a form."""

    number: int


class _Node(NamedTuple):
    """The place of a nest in a form."""

    kind: type
    keys: tuple[Hashable, ...]
    entries: tuple[Hashable, ...]


def flatten(value: Any) -> tuple[list[Tensor], Hashable]:
    """All tensors in `value`, and the hashable form that is left without them."""
    leaves: list[Tensor] = []
    return leaves, _form(value, leaves)


def rebuild(form: Hashable, leaves: list[Tensor]) -> Any:
    """The inverse of `flatten`."""
    if isinstance(form, _Leaf):
        return leaves[form.number]
    if not isinstance(form, _Node):
        return form
    entries = [rebuild(entry, leaves) for entry in form.entries]
    if issubclass(form.kind, dict):
        return dict(zip(form.keys, entries, strict=True))
    if is_dataclass(form.kind):
        return form.kind(**dict(zip(map(str, form.keys), entries, strict=True)))
    make: Any = form.kind
    return make(*entries) if hasattr(make, "_fields") else make(entries)


def _form(value: Any, leaves: list[Tensor]) -> Hashable:
    if isinstance(value, Tensor):
        leaves.append(value)
        return _Leaf(len(leaves) - 1)
    if isinstance(value, dict):
        return _Node(type(value), tuple(value), tuple(_form(entry, leaves) for entry in value.values()))
    if isinstance(value, tuple | list):
        return _Node(type(value), (), tuple(_form(entry, leaves) for entry in value))
    if is_dataclass(value) and not isinstance(value, type):
        names = tuple(field.name for field in fields(value))
        return _Node(type(value), names, tuple(_form(getattr(value, name), leaves) for name in names))
    if not isinstance(value, Hashable):
        raise TypeError(f"a {type(value).__name__} has no place in recorded work")
    return value
