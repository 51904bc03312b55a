"""A step of meta-training, and a look at validation classes: what every meta-trained network goes through."""

import math
import time
from collections.abc import Sequence

from metanas.errors import NonFiniteError
from metanas.evaluate.interval import Interval, interval
from metanas.meta.learner import MetaLearner
from metanas.parallel import Crew
from metanas.params import MetaParams, Metrics, tree_map
from metanas.run.drawn import drawn
from metanas.run.non_finite import without
from metanas.run.start import begun_at
from metanas.run.state import Progressed
from metanas.run.workbench import Workbench
from tasks.episode import spans


def begin(bench: Workbench, learner: MetaLearner) -> Progressed:
    """The state before the first step: a function of the experiment, and of the run that it starts from.

    Raises:
        ConfigError: it starts from a run of another space.
    """
    experiment = bench.experiment
    start = drawn(bench.net, bench.space, experiment.meta.arch_std, experiment.seed)
    if experiment.start is not None:
        start = begun_at(experiment.start, start)
    start = tree_map(lambda t: t.to(bench.device), experiment.inner.equipped(start))
    return Progressed(learner.init(start), 0, 0.0, -1.0)


def outer_step(bench: Workbench, learner: MetaLearner, crew: Crew, state: Progressed) -> tuple[Progressed, Metrics]:
    """One outer step: a function of the state and the experiment alone; `crew` works as a `Teacher`.

    A meta-batch that `meta.non_finite` leaves out moves nothing, and has no loss among its metrics.

    Raises:
        NonFiniteError: names the iteration, the episodes and their data sets.
    """
    meta = bench.experiment.meta
    began = time.perf_counter()
    i = state.iteration
    parts = spans(i * meta.tasks, (i + 1) * meta.tasks, meta.chunk)
    verdicts = crew.map("verdict", [(state.learner.params, i, *part) for part in parts])
    scale = meta.cosine + (1 - meta.cosine) * (1 + math.cos(math.pi * i / meta.iterations)) / 2
    try:
        moved, metrics = learner.step(state.learner, verdicts, scale, rest_arch=meta.is_warming(i))
    except NonFiniteError as error:
        where = _named(crew, [i * meta.tasks + task for task in error.tasks])
        state = without(state, meta, f"outer iteration {i}", NonFiniteError(f"{where}: {error}", error.tasks))
        moved, metrics = state.learner, {}
    metrics["meta/temperature"] = bench.experiment.temperature(i)
    metrics["seconds"] = time.perf_counter() - began
    return state._replace(learner=moved, iteration=i + 1), metrics


def _named(crew: Crew, episodes: Sequence[int]) -> str:
    """Training episodes with their data sets."""
    by_source: dict[str, list[str]] = {}
    for episode, source in zip(episodes, crew.map("source", [(episode,) for episode in episodes]), strict=True):
        by_source.setdefault(source, []).append(str(episode))
    return " and ".join(f"training episodes {', '.join(found)} of {source}" for source, found in by_source.items())


def validation_scores(bench: Workbench, crew: Crew, params: MetaParams) -> dict[str, Interval]:
    """The accuracy of the deployed networks on validation classes of every data set of meta-training.

    Raises:
        NonFiniteError: predictions are not numbers; names the episodes and their data set.
    """
    experiment = bench.experiment
    parts = spans(0, experiment.meta.validate_episodes, experiment.evaluate.chunk)
    scores: dict[str, Interval] = {}
    for i, source in enumerate(experiment.data.sources):
        found = crew.map("scores", [(params, i, *part) for part in parts])
        scores[source] = interval([value for part in found for value in part])
    return scores
