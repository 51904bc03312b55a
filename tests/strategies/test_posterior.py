"""What a posterior over architectures leaves open, and its draws."""

import json
import math
from collections import Counter

import pytest
import torch

from metanas.evaluate.logits import describe
from metanas.meta.proximal import Proximal
from metanas.params import MetaParams
from metanas.run.posterior_files import posterior_files
from metanas.spaces.fewshot import FewShot
from metanas.spaces.genotype import check_genotype
from metanas.spaces.metanas import MetaNas
from metanas.spaces.nas_bench_201 import NasBench201
from metanas.strategies.posterior import Posterior
from tasks.episode import Batch
from tasks.stream import stream

DRAWS = 4000


def test_draws_have_the_frequencies_of_the_posterior() -> None:
    """On a space that takes the strongest operation of every edge; within four standard deviations."""
    space = NasBench201(width=2)
    logits = {kind: 1.5 * torch.randn(t.shape, generator=stream(0, kind)) for kind, t in space.logits().items()}
    posterior = Posterior(space, logits)
    rng = stream(0, "draws")
    drawn = torch.tensor([posterior.draw(rng) for _ in range(DRAWS)])
    (expected,) = posterior.probabilities().values()
    for edge, probabilities in enumerate(expected.tolist()):
        counts = Counter(drawn[:, edge].tolist())
        for op, p in enumerate(probabilities):
            assert counts[op] / DRAWS == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / DRAWS) + 1e-3)


def test_a_decided_posterior_draws_what_it_decodes_to() -> None:
    space = FewShot(width=2, nodes=2)
    genotype = tuple(len(decision.options) - 1 for decision in space.decisions)
    posterior = Posterior(space, {kind: 80 * gates for kind, gates in space.encode(genotype).items()})
    assert {posterior.draw(stream(seed, "draws")) for seed in range(20)} == {genotype}
    assert posterior.mean_entropy() == pytest.approx(0.0, abs=1e-6)


def test_an_open_posterior_draws_many_cells_of_the_space() -> None:
    space = FewShot(width=2, nodes=2)
    posterior = Posterior(space, space.logits())
    drawn = [posterior.draw(stream(seed, "draws")) for seed in range(20)]
    for genotype in drawn:
        check_genotype(space, genotype)
    assert len(set(drawn)) > 15
    assert posterior.mean_entropy() == pytest.approx(math.log(8))
    assert {kind: edges.shape for kind, edges in posterior.entropies().items()} == {"normal": (5,), "reduction": (5,)}


def test_pairs_of_inputs_are_choices_like_edges() -> None:
    space = MetaNas(width=2, nodes=2, stack=2)
    posterior = Posterior(space, space.logits())
    entropies = posterior.entropies()
    assert entropies["normal/inputs/1"].item() == pytest.approx(math.log(3))
    assert min(e.min() for e in entropies.values()) == 0  # the first node has one pair
    assert posterior.mean_entropy() == pytest.approx(math.log(7))  # of operations; pairs are asked for by their names
    assert describe(space.logits())["arch/entropy"] == pytest.approx(math.log(7))
    partial = FewShot(width=8, nodes=2, partial=4)
    assert describe(partial.logits())["arch/entropy"] == pytest.approx(math.log(len(partial.primitives)))
    content = json.loads(posterior_files(posterior, 2, stream(0, "draws"))["posterior.json"])
    assert set(content["cells"]) == {"normal", "reduction"}
    assert content["inputs"]["normal/inputs/1"] == pytest.approx([1 / 3] * 3)


def test_the_divergence_of_pairs_is_each_task_s_own() -> None:
    start = MetaParams({}, {"cell": torch.zeros(2, 5, 7), "cell/inputs/0": torch.zeros(2, 3)})
    now = MetaParams({}, {"cell": torch.zeros(2, 5, 7), "cell/inputs/0": torch.tensor([[0.0, 0, 0], [2.0, 0, 0]])})
    batch = Batch(torch.zeros(2, 4, 1, 8, 8), torch.zeros(2, 4, dtype=torch.long))
    pulled = Proximal(lambda params, images: torch.zeros(2), start, [0.0, 0.0], 1.0)(now, batch)
    p = torch.softmax(torch.tensor([2.0, 0, 0]), -1)
    torch.testing.assert_close(pulled, torch.stack([torch.tensor(0.0), (p * (3 * p).log()).sum() / 4]))
