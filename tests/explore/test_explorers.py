"""Explorers on planted scores: what they find, how soon, and that they are functions of the trials."""

import math
import random
from collections.abc import Callable
from itertools import pairwise, product

import pytest
import torch

from metanas.errors import ConfigError
from metanas.explore.explorer import Explorer, Trial, best
from metanas.explore.growth import CellChoice, Growth
from metanas.explore.progressive import Progressive
from metanas.explore.random_cells import RandomCells
from metanas.explore.surrogate import Surrogate
from metanas.spaces.fewshot import FewShot
from metanas.spaces.genotype import check_genotype
from metanas.spaces.nas_bench_201 import NasBench201

GROWTH = Growth([FewShot(width=2, nodes=nodes) for nodes in (1, 2, 3)])


class Planted:
    """Accuracies of a table: operations have merits, inputs too, neighbours interact, and the rest is noise."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        names = sorted({text for decision in GROWTH.decisions(2) for text in decision.options})
        self._merits = {name: rng.gauss(0, 1) for name in names}
        self._couples = {couple: rng.gauss(0, 0.3) for couple in product(names, names)}
        self._seed = seed

    def __call__(self, cell: CellChoice) -> float:
        decisions = GROWTH.decisions(GROWTH.size(cell))
        names = [d.options[choice] for d, choice in zip(decisions, cell, strict=True)]
        worth = sum(map(self._merits.__getitem__, names)) + sum(map(self._couples.__getitem__, pairwise(names)))
        return worth / math.sqrt(len(names)) + random.Random(f"{self._seed} {cell}").gauss(0, 0.1)


def explored(explorer: Explorer, score: Callable[[CellChoice], float]) -> list[Trial]:
    trials: list[Trial] = []
    while (cell := explorer.next(trials)) is not None:
        trials.append(Trial(cell, score(cell), 1.0))
    return trials


EXPLORERS: dict[str, Explorer] = {
    "progressive": Progressive(GROWTH, 0, first=12, beam=4),
    "progressive from all": Progressive(GROWTH, 0, first=1000, beam=2),
    "random": RandomCells(GROWTH, 0, 20),
}


@pytest.mark.parametrize("explorer", EXPLORERS.values(), ids=EXPLORERS)
class TestExplorer:
    def test_is_an_explorer(self, explorer: Explorer) -> None:
        assert isinstance(explorer, Explorer)

    def test_scores_as_many_cells_as_it_says_each_in_its_space(self, explorer: Explorer) -> None:
        trials = explored(explorer, Planted(0))
        assert len(trials) == explorer.budget
        assert len({trial.cell for trial in trials}) == len(trials)
        for trial in trials:
            check_genotype(GROWTH.spaces[GROWTH.size(trial.cell)], GROWTH.genotype(trial.cell))

    def test_is_a_function_of_the_trials(self, explorer: Explorer) -> None:
        trials = explored(explorer, Planted(0))
        for done in (0, 1, 13, len(trials) - 1):
            assert explorer.next(trials[:done]) == trials[done].cell
        assert explorer.next(trials) is None


def test_kinds_of_cells_are_tied_and_grow_node_by_node() -> None:
    (cell,) = [cell for cell in GROWTH.smallest() if cell == (0, 3, 5)]
    assert len(GROWTH.smallest()) == 7 * 7
    assert len(GROWTH.grown(cell)) == 3 * 7 * 7
    grown = GROWTH.grown(cell)[100]
    assert grown[:3] == cell
    cells = FewShot(width=2, nodes=2).cells(GROWTH.genotype(grown))
    assert cells["normal"] == cells["reduction"]
    assert cells["normal"][:2] == FewShot(width=2, nodes=1).cells(GROWTH.genotype(cell))["normal"]


def test_what_cannot_grow_is_refused() -> None:
    with pytest.raises(ConfigError, match="a space cannot grow"):
        Growth([NasBench201(), NasBench201()])


def test_the_beam_grows_from_its_best_and_uses_every_size() -> None:
    trials = explored(Progressive(GROWTH, 1, first=49, beam=4), Planted(1))
    sizes = [GROWTH.size(trial.cell) for trial in trials]
    assert [sizes.count(size) for size in range(3)] == [49, 4, 4]
    top = sorted(trials[:49], key=lambda trial: -trial.score)[:4]
    assert {trial.cell[:3] for trial in trials[49:53]} <= {trial.cell for trial in top}


def test_the_surrogate_learns_an_additive_score_and_knows_operations_at_nodes_it_has_not_seen() -> None:
    def score(cell: CellChoice) -> float:
        names = [d.options[c] for d, c in zip(GROWTH.decisions(GROWTH.size(cell)), cell, strict=True)]
        return names.count("sep_conv_3x3") / len(names)

    trials = [Trial(cell, score(cell), 1.0) for cell in GROWTH.smallest()]
    surrogate = Surrogate(GROWTH, trials, ridge=1e-6)
    cells = [trial.cell for trial in trials]
    torch.testing.assert_close(surrogate(cells), torch.tensor([t.score for t in trials]).double(), rtol=0, atol=1e-4)
    grown = GROWTH.grown(trials[0].cell)
    found = grown[int(surrogate(grown).argmax())]
    assert score(found) == max(map(score, grown))


def test_finds_more_than_random_search_with_fewer_trials() -> None:
    """In the mean over 20 planted tables: 49 + 8 + 8 trials beat four times as many random ones."""
    gains = []
    for seed in range(20):
        score = Planted(seed)
        progressive = explored(Progressive(GROWTH, seed, first=49, beam=8), score)
        drawn = explored(RandomCells(GROWTH, seed, 4 * len(progressive)), score)
        gains.append(best(progressive).score - best(drawn).score)
    mean = sum(gains) / len(gains)
    error = math.sqrt(sum((gain - mean) ** 2 for gain in gains) / (len(gains) - 1) / len(gains))
    assert mean > 2 * error > 0


def test_the_surrogate_is_worth_its_place() -> None:
    """In the mean over 20 planted tables: ranked extensions beat those in random order."""
    gains = []
    for seed in range(20):
        score = Planted(seed)
        ranked, blind = (
            explored(Progressive(GROWTH, seed, first=24, beam=6, ridge=ridge), score) for ridge in (1.0, 1e12)
        )
        gains.append(best(ranked).score - best(blind).score)
    mean = sum(gains) / len(gains)
    error = math.sqrt(sum((gain - mean) ** 2 for gain in gains) / (len(gains) - 1) / len(gains))
    assert mean > 2 * error > 0
