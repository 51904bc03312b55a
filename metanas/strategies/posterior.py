"""What a task's posterior over architectures leaves open (`metanas.meta.variational`)."""

from dataclasses import dataclass

import torch

from metanas.categorical import entropy
from metanas.params import Params
from metanas.relax.relaxation import gumbel
from metanas.spaces.space import Genotype, SearchSpace, of_operations


@dataclass(frozen=True)
class Posterior:
    """The distribution of each edge's operation, softmax of a task's logits; edges are independent."""

    space: SearchSpace
    logits: Params
    """Of one task, `[edges, ops]` by cell kind."""

    def probabilities(self) -> Params:
        """Of the operations, `[edges, ops]` by cell kind."""
        return {kind: torch.softmax(logits, -1) for kind, logits in self.logits.items()}

    def entropies(self) -> Params:
        """Of each edge in nats, `[edges]` by cell kind: 0 is decided, log(ops) is open; of a node's pair a number."""
        return {kind: entropy(logits) for kind, logits in self.logits.items()}

    def mean_entropy(self) -> float:
        """Of the operations, over all edges of all kinds, in nats."""
        return torch.cat([entropy(logits) for logits in of_operations(self.logits).values()]).mean().item()

    def draw(self, rng: torch.Generator) -> Genotype:
        """An architecture: what the space decodes the logits to after Gumbel noise was added.

        Where a space takes the strongest operation of every edge, this is a draw from the posterior. Where a node keeps
        its strongest edges only, an edge stands with the operation and the strength that it has in the draw.
        """
        noise = gumbel(self.logits, rng)
        return self.space.decode({kind: logits + noise[kind] for kind, logits in self.logits.items()})
