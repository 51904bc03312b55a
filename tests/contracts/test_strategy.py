"""What every strategy promises; a new one joins with one line in STRATEGIES."""

from dataclasses import replace

import pytest
import torch

from metanas.meta.adapt import Inner
from metanas.objective import Classification
from metanas.params import MetaParams, leaves
from metanas.problem import Problem, as_decoded, children
from metanas.relax.fixed import Fixed
from metanas.relax.soft_pruning import SoftPruning
from metanas.relax.softmax import Softmax
from metanas.relax.straight_through import StraightThrough
from metanas.spaces.fewshot import FewShot
from metanas.spaces.genotype import check_genotype
from metanas.spaces.initial import initial_weights
from metanas.strategies.gradient import Gradient
from metanas.strategies.prior import Prior
from metanas.strategies.random import Random
from metanas.strategies.strategy import Strategy, tune
from metanas.strategies.uniform import Uniform
from tasks.episode import Batch, TaskSpec
from tasks.stream import stream

SPACE, SPEC = FewShot(width=4, nodes=2), TaskSpec(3, 1, 2, (1, 16, 16))
STRATEGIES: dict[str, Strategy] = {
    "gradient": Gradient(StraightThrough(SPACE.harden), Inner(2, 0.1, 5.0), 0.0),
    "posterior": Gradient(Softmax(sample=True), Inner(2, 0.1, 5.0, kl_arch=1.0), 0.5, samples=2),
    "metanas": Gradient(
        SoftPruning(0),
        Inner(3, 0.01, 0.1, True, optimiser="adam", alternate=True, arch_steps=2),
        0.1,
        temperature_first=1.0,
    ),
    "prior": Prior(),
    "random": Random(),
    "uniform": Uniform(Inner(2, 0.1, 5.0)),
}


@pytest.fixture
def problem() -> Problem:
    net = SPACE.supernet(SPEC)
    weights = {k: w.double() for k, w in initial_weights(net, stream(0, "weights")).items()}
    arch = {k: a.double() for k, a in SPACE.logits().items()}
    x = torch.rand(4, 3, *SPEC.image, generator=stream(0, "images"), dtype=torch.float64)
    return Problem(SPACE, SPEC, net, Batch(x, torch.arange(3).expand(4, 3)), MetaParams(weights, arch))


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
class TestStrategy:
    def test_is_a_strategy(self, strategy: Strategy) -> None:
        assert isinstance(strategy, Strategy)

    def test_chooses_a_valid_genotype_and_weights_for_each_task(self, strategy: Strategy, problem: Problem) -> None:
        choice = strategy(problem, stream(0, "search"))
        assert len(choice.genotypes) == problem.tasks
        for genotype in choice.genotypes:
            check_genotype(SPACE, genotype)
        assert all(len(t) == problem.tasks for t in leaves(choice.params))

    def test_is_a_function_of_its_arguments(self, strategy: Strategy, problem: Problem) -> None:
        first, second = strategy(problem, stream(0, "search")), strategy(problem, stream(0, "search"))
        assert first.genotypes == second.genotypes
        assert all(torch.equal(a, b) for a, b in zip(leaves(first.params), leaves(second.params), strict=True))

    def test_leaves_the_start_as_it_is(self, strategy: Strategy, problem: Problem) -> None:
        before = [t.clone() for t in leaves(problem.start)]
        tune(problem, strategy(problem, stream(0, "search")), Inner(2))
        assert all(torch.equal(a, b) for a, b in zip(leaves(problem.start), before, strict=True))

    def test_tuned_children_equal_their_masked_supernet(self, strategy: Strategy, problem: Problem) -> None:
        """The network that is handed out is the network that was scored."""
        choice = tune(problem, strategy(problem, stream(0, "search")), Inner(2, 0.1))
        scored = as_decoded(problem, choice).logits(choice.params, problem.support.x)
        for task, child in enumerate(children(problem, choice)):
            handed_out = Classification(child.net).logits(child.params, problem.support.x[task])
            torch.testing.assert_close(handed_out, scored[task], rtol=1e-9, atol=1e-11)

    def test_tuning_moves_the_childs_weights_alone(self, strategy: Strategy, problem: Problem) -> None:
        choice = strategy(problem, stream(0, "search"))
        tuned = tune(problem, choice, Inner(1, 0.1))
        assert tuned.genotypes == choice.genotypes
        for task, child in enumerate(children(problem, choice)):
            moved = {
                name
                for name, w in tuned.params.weights.items()
                if not torch.equal(w[task], choice.params.weights[name][task])
            }
            assert moved
            assert moved <= set(child.params.weights)
        assert all(torch.equal(a, choice.params.arch[k]) for k, a in tuned.params.arch.items())


def test_straight_through_search_loses_nothing_by_decoding(problem: Problem) -> None:
    strategy = Gradient(StraightThrough(SPACE.harden), Inner(2, 0.1, 5.0), 0.0)
    choice = strategy(problem, stream(0, "search"))
    before = strategy.objective(problem, choice).logits(choice.params, problem.support.x)
    after = as_decoded(problem, choice).logits(choice.params, problem.support.x)
    torch.testing.assert_close(before, after, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["prior", "random"])
def test_what_was_never_relaxed_stands_decoded(name: str, problem: Problem) -> None:
    strategy = STRATEGIES[name]
    choice = strategy(problem, stream(0, "search"))
    before = strategy.objective(problem, choice).logits(choice.params, problem.support.x)
    after = as_decoded(problem, choice).logits(choice.params, problem.support.x)
    assert torch.equal(before, after)


def test_a_uniform_supernet_weighs_all_operations_equally(problem: Problem) -> None:
    """The logits that it started from do not matter, and stay equal while the weights move."""
    strategy = Uniform(Inner(2, 0.1, 5.0))
    other = replace(problem, start=problem.start._replace(arch={k: 1 + a for k, a in problem.start.arch.items()}))
    choice = strategy(problem, stream(0, "search"))
    assert not any(table.any() for table in choice.params.arch.values())
    assert not torch.equal(choice.params.weights["head.weight"][0], problem.start.weights["head.weight"])
    found = strategy.objective(problem, choice).logits(choice.params, problem.support.x)
    again = strategy.objective(other, strategy(other, stream(0, "search"))).logits(choice.params, problem.support.x)
    assert torch.equal(found, again)
    gates = {kind: torch.full((4, *table.shape), 1 / 8).double() for kind, table in SPACE.logits().items()}
    expected = Classification(problem.net, Fixed(gates, sparse=False)).logits(choice.params, problem.support.x)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_noisy_gates_adapt_a_task_alone_as_among_others(problem: Problem) -> None:
    """One draw serves all tasks, so that a call of many equals many calls; and a draw moves the logits."""
    strategy = STRATEGIES["posterior"]
    together = strategy(problem, stream(0, "search"))
    for task in range(problem.tasks):
        support = Batch(problem.support.x[task : task + 1], problem.support.y[task : task + 1])
        alone = strategy(replace(problem, support=support), stream(0, "search"))
        for a, b in zip(leaves(alone.params), leaves(together.params), strict=True):
            torch.testing.assert_close(a[0], b[task], rtol=1e-9, atol=1e-11)
    other = strategy(problem, stream(1, "search"))
    assert not torch.equal(other.params.arch["normal"], together.params.arch["normal"])
