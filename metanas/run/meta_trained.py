"""How good a fixed cell is for a gradient-based meta-learner: short meta-training, then validation classes.

Auto-Meta's estimator (Kim et al. 2018, arXiv 1806.06927). What it does is `meta-train` of that cell, bit for bit,
with a single validation at the end.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from metanas.config import Experiment
from metanas.errors import NonFiniteError
from metanas.estimators.estimator import Estimate
from metanas.evaluate.interval import stratified
from metanas.meta.batch import Executor
from metanas.parallel import Crew
from metanas.run import build, build_data
from metanas.run.outer_step import begin, outer_step, validation_scores
from metanas.run.reference import draw_reference
from metanas.run.teacher import Teacher
from metanas.run.workbench import Workbench
from metanas.spaces.space import Genotype
from tasks.dataset import Dataset


@dataclass(frozen=True)
class MetaTrained:
    """Accuracy in [0, 1] on validation classes after meta-training and adaptation; implements `Estimator`.

    A cell whose loss does not stay finite has score 0: no cell of a finite loss can be worse.
    """

    child: Callable[[Genotype], Experiment]
    """The meta-training of one cell."""
    data: Sequence[Dataset]
    """Of every source of the experiment."""

    def __call__(self, genotype: Genotype) -> Estimate:
        """See `Estimator`."""
        began = time.perf_counter()
        experiment = self.child(genotype)
        bench = Workbench.of(experiment).with_reference(draw_reference(experiment, self.data))
        learner = build.learner(experiment)
        teacher = Teacher(
            bench,
            Executor(learner.gradient, experiment.meta.execute, experiment.inner.engine),
            build_data.training(experiment, self.data),
            tuple(build_data.episodes(experiment, part, "validation") for part in self.data),
        )
        state = begin(bench, learner)
        with Crew(teacher, build.processes(experiment)) as crew:
            try:
                for _ in range(experiment.meta.iterations):
                    state, _ = outer_step(bench, learner, crew, state)
                scores = validation_scores(bench, crew, state.learner.params)
            except NonFiniteError:
                return Estimate(0.0, time.perf_counter() - began)
        return Estimate(stratified(list(scores.values())).mean, time.perf_counter() - began)
