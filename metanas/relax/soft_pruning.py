"""Soft pruning in spaces without logits for pairs of inputs (after Elsken et al. 2020, arXiv 1911.11090).

Gates decide by themselves as the temperature falls. Operations compete on an edge, and pairs of inputs at a node, so
that what is left at a low temperature is a cell with two inputs a node and one operation an input: decoding it takes
nothing away, and no retraining is needed.
"""

from dataclasses import dataclass
from functools import cache
from itertools import combinations

import torch
from torch import Tensor

from metanas.constant import constant
from metanas.errors import ConfigError
from metanas.params import Params
from metanas.relax.relaxation import Temperature, check_positive


@dataclass(frozen=True)
class SoftPruning:
    """gates = c * softmax(arch / t), c_j the sum over pairs {j, k} of softmax(pair strengths / t).

    Implements `Relaxation`. The c of a node sum to two. Gates that are at most `threshold` are zero and are not
    computed. At t towards 0 the gates are the decoded architecture.

    Deviations: the strength of a pair is the sum of its edges' strengths by DARTS's parse rule (the log probability of
    the best operation that is not `none`), where MetaNAS learns a logit for every pair; so no further parameters are
    needed, and the limit is what `harden` gives. `none` gets no gate, since no cell is decoded to it. The threshold is
    on the product c * softmax. `pruned_softmax` is without these deviations.
    """

    none: int | None = None
    """The column of the operation that is never taken."""
    threshold: float = 0.01
    sparse: bool = True

    def __call__(self, arch: Params, temperature: Temperature, noise: Params) -> Params:
        """See `Relaxation`; the noise is ignored, and the temperature t is in units of logits."""
        del noise
        check_positive(temperature, "soft pruning")
        return {name: self._gates(logits, temperature) for name, logits in arch.items()}

    def draw(self, arch: Params, rng: torch.Generator) -> Params:
        """See `Relaxation`; nothing is random."""
        del arch, rng
        return {}

    def _gates(self, logits: Tensor, temperature: Temperature) -> Tensor:
        log_p = torch.log_softmax(logits, dim=-1)
        if self.none is not None:
            log_p = log_p.masked_fill(torch.arange(log_p.shape[-1], device=log_p.device) == self.none, -torch.inf)
        strength = log_p.amax(-1)
        shares, first = [], 0
        for inputs in _inputs_of_nodes(logits.shape[-2]):
            pairs = list(combinations(range(inputs), 2))
            members = tuple(tuple(float(j in pair) for j in range(inputs)) for pair in pairs)
            holds = constant(members, logits.dtype, logits.device)
            edges = strength[..., first : first + inputs].unbind(-1)
            beta = torch.softmax(torch.stack([edges[a] + edges[b] for a, b in pairs], -1) / temperature, dim=-1)
            shares.append(beta @ holds)
            first += inputs
        gates = torch.cat(shares, -1)[..., None] * torch.softmax(log_p / temperature, dim=-1)
        return gates * (gates > self.threshold)


@cache
def _inputs_of_nodes(edges: int) -> tuple[int, ...]:
    """How many edges enter each node of a cell: 2, 3, ...; as many in all as there are rows of logits."""
    nodes: list[int] = []
    while sum(nodes) < edges:
        nodes.append(len(nodes) + 2)
    if sum(nodes) != edges:
        raise ConfigError(
            f"relax.kind=soft_pruning needs cells whose nodes have 2, 3, ... inputs, got a cell of {edges} edges; "
            "take relax.kind=softmax for this space"
        )
    return tuple(nodes)
