"""Operations on genotypes that hold for every space, because a genotype is one choice per decision."""

import torch

from metanas.errors import GenotypeError
from metanas.spaces.space import ArchitectureSpace, Genotype


def check_genotype(space: ArchitectureSpace, genotype: Genotype) -> None:
    """Raises `GenotypeError` when `genotype` is not one valid choice per decision of `space`."""
    if len(genotype) != len(space.decisions):
        raise GenotypeError(f"a genotype of this space has {len(space.decisions)} choices, got {len(genotype)}")
    for choice, decision in zip(genotype, space.decisions, strict=True):
        if not 0 <= choice < len(decision.options):
            raise GenotypeError(
                f"{decision.name} has options 0..{len(decision.options) - 1} ({', '.join(decision.options)}), "
                f"got {choice}"
            )


def random_genotype(space: ArchitectureSpace, rng: torch.Generator) -> Genotype:
    """Every decision drawn uniformly and independently; where not every genotype is a network, it may be none."""
    return tuple(int(torch.randint(len(d.options), (), generator=rng)) for d in space.decisions)
