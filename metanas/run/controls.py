"""Controls: cells that no task has chosen, after as many support steps as the network that is handed out."""

from metanas.objective import Classification
from metanas.problem import Choice, Problem, as_decoded
from metanas.run.workbench import Workbench
from metanas.strategies.prior import Prior
from metanas.strategies.random import Random
from metanas.strategies.strategy import Strategy
from tasks.stream import stream

CONTROLS: dict[str, Strategy] = {"prior_child": Prior(), "random_child": Random()}
"""Architectures without a search, whose children get all support steps."""
RESTING = "resting_child"
"""The prior's cell by the way of an own cell: the same steps of a search, through the same gates, but that its logits
rest. What own cells have beyond it they owe to their other architecture; beyond `prior_child` also to that way."""


def has_a_way(bench: Workbench) -> bool:
    """Whether a search passes through other networks than the cell that it ends at, so that `RESTING` is a control of
    its own. With straight-through gates without noise it is `prior_child`.
    """
    adapt = bench.experiment.adapt
    is_hard = bench.experiment.relax.kind == "straight_through" and not adapt.samples
    return bool(bench.space.decisions) and adapt.strategy == "gradient" and adapt.steps > 0 and not is_hard


def control(bench: Workbench, name: str, problem: Problem, number: int) -> tuple[Classification, Choice]:
    """The children of a control, which is one of `CONTROLS` or `RESTING`, all tasks in one call.

    What is drawn at random is a function of the seed and of `number`, that of the first episode.
    """
    adapt = bench.experiment.adapt
    if name == RESTING:
        found, spent = bench.resting().searched(problem, number), adapt.steps
    else:
        found, spent = CONTROLS[name](problem, stream(bench.experiment.seed, name, number)), 0
    tuned = bench.tuned(problem, found, adapt.deployed_steps - spent)
    return bench.classified(problem, as_decoded(problem, tuned), tuned)
