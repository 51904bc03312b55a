"""What a search space is: a list of choices, and the networks that they build.

An architecture is one choice per decision, a tuple of integers, so mutation, neighbours, random draws and encodings are
one function each for all spaces. A space does not know how architectures are relaxed: its supernet takes *gates*, one
number per option.
"""

from typing import NamedTuple, Protocol, runtime_checkable

from torch import nn

from metanas.params import Params
from tasks.episode import TaskSpec

Genotype = tuple[int, ...]
"""One choice per decision; hashable, and JSON as it stands."""


NEVER = -1000.0
"""The logit of an option that a space leaves out: its softmax is exactly zero, and so is every gradient."""


def of_operations(logits: Params) -> Params:
    """Those of operations, `[edges, ops]` by cell kind; those of edges or pairs of inputs are named KIND/..."""
    return {name: table for name, table in logits.items() if "/" not in name}


class Decision(NamedTuple):
    """One choice that defines an architecture."""

    name: str
    options: tuple[str, ...]


class CellEdge(NamedTuple):
    """One operation of a decoded cell: the first states are the cell's inputs, the further ones its nodes."""

    source: int
    target: int
    op: str


class Wiring(NamedTuple):
    """How the cells of a space are joined, for drawings and people."""

    inputs: int
    """States before the nodes: the outputs of as many cells before."""
    nodes: int
    """Intermediate states."""
    outputs: tuple[int, ...] | None = None
    """States that are the output, concatenated where they are several; None: all nodes."""
    first_node: int = 0
    """The number that publications give to the first node."""


@runtime_checkable
class ArchitectureSpace(Protocol):
    """A set of architectures, each a network of its own; enough for searches that train or look up what they judge."""

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Every choice, in the order of a genotype."""
        ...

    def child(self, genotype: Genotype, spec: TaskSpec) -> nn.Module:
        """The network of one architecture on the `meta` device; raises `GenotypeError` for a wrong genotype."""
        ...


@runtime_checkable
class SearchSpace(ArchitectureSpace, Protocol):
    """A set of architectures with one supernet that contains them all.

    Two laws hold for every space: at a one-hot gate the supernet equals the child network, and the child's parameter
    names are a subset of the supernet's, with equal shapes.
    """

    @property
    def primitives(self) -> tuple[str, ...]:
        """The operations, in the order of the last axis of the `logits` of a kind of cell."""
        ...

    def supernet(self, spec: TaskSpec) -> nn.Module:
        """The network of all options on the `meta` device, called as `CellNetwork.forward` says."""
        ...

    def logits(self) -> Params:
        """Architecture logits that prefer nothing: zeros, and `NEVER` for options that are left out.

        `[edges, ops]` by cell kind; for every node also `[1, sources]` with partial channels (see `partial`), `[pairs]`
        where inputs are learned (see `input_pairs`). The last axis of every entry is one choice.
        """
        ...

    def encode(self, genotype: Genotype) -> Params:
        """One-hot gates of `genotype`, in the shapes of `logits`."""
        ...

    def harden(self, arch: Params) -> Params:
        """The one-hot gates of the architecture that `arch` prefers, with leading axes kept: `[*tasks, edges, ops]`."""
        ...

    def decode(self, arch: Params) -> Genotype:
        """The architecture that `arch` (logits or gates) prefers.

        `encode(decode(a)) == harden(a)`, and `decode(encode(g)) == g` for every `g` that logits can prefer.
        """
        ...

    @property
    def wiring(self) -> Wiring:
        """How the cells of `cells` are joined."""
        ...

    def cells(self, genotype: Genotype) -> dict[str, tuple[CellEdge, ...]]:
        """The operations of each kind of cell, for drawings and people."""
        ...
