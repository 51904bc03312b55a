"""Several networks for a task that predict together: what a posterior over architectures is for."""

from metanas.evaluate.accuracy import Network
from metanas.problem import Choice, Problem, as_decoded
from metanas.run import build
from metanas.run.workbench import Workbench
from tasks.stream import stream


def drawn_cells(bench: Workbench, problem: Problem, searched: Choice, number: int) -> list[Network]:
    """`adapt.cells` networks for each task, their cells drawn from the posterior that its search has `searched`.

    Each inherits the posterior's weights and takes the further support steps of a child: what a posterior over
    architectures predicts, where one cell of it is a guess.
    """
    experiment = bench.experiment
    posteriors = [bench.posterior(searched, task) for task in range(problem.tasks)]
    rng = stream(experiment.seed, "posterior", number)
    found: list[Network] = []
    for _ in range(experiment.adapt.cells):
        given = Choice(tuple(posterior.draw(rng) for posterior in posteriors), searched.params)
        tuned = bench.tuned(problem, given, build.child_steps(experiment))
        objective, choice = bench.classified(problem, as_decoded(problem, tuned), tuned)
        found.append((objective, choice.params))
    return found
