"""Evaluation: every method on the same test episodes; the headline is the network that `adapt` would hand out."""

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

from metanas.config import Experiment
from metanas.config_file import changes, override
from metanas.evaluate.report import write_report
from metanas.parallel import Crew
from metanas.run import build
from metanas.run.comparison import Comparison, Examiner, Summary, architecture
from metanas.run.directory import RunDirectory
from metanas.run.interrupt import Interrupt
from metanas.run.judges import judges
from metanas.run.pictures import draw_genotype
from metanas.run.restore import Restored, restore
from metanas.run.start import start_seconds
from metanas.run.strata import averaged
from metanas.run.trackers import open_trackers
from metanas.run.workbench import Workbench
from metanas.spaces.cost import Cost
from metanas.spaces.space import Genotype
from metanas.track.console import Progress
from tasks.episode import spans
from tasks.split import SplitName

SHOWN_CELLS = 4

Result = dict[str, object]


def evaluate(
    directory: RunDirectory, experiment: Experiment, *, split: SplitName = "test", quiet: bool = False
) -> Result:
    """Scores a run, writes result.json, cells/ and report.html, and returns the result.

    Args:
        directory: of the run.
        experiment: its configuration, perhaps with another `evaluate`, `adapt` or `data`.
        split: whose classes the episodes show.
        quiet: no progress.

    Raises:
        DataError: images are missing, or the run was trained on classes of `split`.
    """
    restored = restore(directory, experiment)
    bench, start = restored.bench, restored.state.learner.params
    judging = judges(directory, experiment, bench, split)
    pooled = Comparison(bench, start)
    parts: dict[str, dict[str, Summary]] = {}
    known: dict[Genotype, Cost] = {}
    with directory.locked(), Interrupt() as interrupt:
        for source, (dataset, episodes) in judging.items():
            comparison = Comparison(bench, start)
            costs = _score(comparison, Examiner(bench, start, dataset, episodes), interrupt, quiet=quiet)
            for i in range(min(experiment.evaluate.timed, experiment.evaluate.episodes)):
                (alone,) = episodes.stacks([i])
                comparison.clock(alone)
                interrupt.check()
            pooled.extend(comparison.scores)
            parts[source] = comparison.summary(costs)
            known |= costs
        baselines = averaged(pooled.summary(known), parts)
        result = summarise(pooled, baselines, restored, " + ".join(judge.dataset for judge in judging.values()), split)
        result["overrides"] = _overrides(directory.experiment(), experiment)
        if len(parts) > 1:
            result["sources"] = parts
        directory.write_json("result.json", result)
        _draw_cells(bench, pooled.chosen(), directory)
        _track(directory, experiment, result)
        write_report(directory.path)
    return result


def _score(comparison: Comparison, examiner: Examiner, interrupt: Interrupt, *, quiet: bool) -> dict[Genotype, Cost]:
    """Fills `comparison` with the scores of all episodes; returns what the networks cost that were found."""
    experiment = examiner.bench.experiment
    settings, processes = experiment.evaluate, build.processes(experiment)
    parts = spans(0, settings.episodes, settings.chunk)
    with Crew(examiner, processes) as crew, Progress("episode", settings.episodes, 50, quiet) as progress:
        for i in range(0, len(parts), processes):
            for found in crew.map("scores", parts[i : i + processes]):
                comparison.extend(found)
            scores = comparison.scores[comparison.headline].transductive
            progress.update(len(scores), acc=statistics.fmean(scores))
            interrupt.check()
        genotypes = comparison.genotypes()
        return dict(zip(genotypes, crew.map("cost", [(genotype,) for genotype in genotypes]), strict=True))


def summarise(
    comparison: Comparison, baselines: Mapping[str, Summary], restored: Restored, dataset: str, split: SplitName
) -> Result:
    """The content of result.json."""
    experiment, state = restored.bench.experiment, restored.state
    genotypes = comparison.chosen()
    prior = restored.bench.space.decode(state.learner.params.arch)
    headline = baselines[comparison.headline]
    counts = Counter(genotypes).most_common()
    return {
        **{key: headline[key] for key in ("accuracy", "ci95", "accuracy_inductive", "ci95_inductive")},
        "mode": "transductive",
        "deployed": experiment.adapt.deploy,
        "headline": comparison.headline,
        "architecture": architecture(restored.bench),
        "strategy": experiment.adapt.strategy,
        "classifier": experiment.adapt.classifier,
        "reference": experiment.adapt.reference,
        "background": experiment.adapt.background,
        "views": list(experiment.adapt.views),
        "episodes": headline["episodes"],
        "n_way": restored.bench.judged.n_way,
        "k_shot": restored.bench.judged.k_shot,
        "n_query": restored.bench.judged.n_query,
        "varied": experiment.task.varied,
        "dataset": dataset,
        "split": split,
        "adapt_seconds_median": headline["adapt_seconds_median"],
        "params": headline["params"],
        "macs": headline["macs"],
        "distinct_genotypes": len(counts) or None,
        "changed_entries": statistics.fmean(map(partial(_differing, prior), genotypes)) if genotypes else None,
        "posterior_entropy": headline["posterior_entropy"],
        "decode_gap": _decode_gap(comparison),
        "adapt_steps": experiment.adapt.steps,
        "child_steps": experiment.adapt.child_steps,
        "checkpoint": restored.checkpoint,
        "seed": experiment.seed,
        "device": str(restored.bench.device),
        "threads": build.processes(experiment),
        "meta_iterations": state.iteration,
        "meta_seconds": restored.seconds,
        "start": experiment.start,
        "start_seconds": start_seconds(experiment.start),
        "baselines": baselines,
        "genotypes": [{"genotype": list(genotype), "episodes": n} for genotype, n in counts[:20]],
    }


def _overrides(trained: Experiment, experiment: Experiment) -> list[str]:
    """What was asked for otherwise than in the run's own configuration, as `metanas evaluate` takes it."""
    found = changes(trained, experiment)
    return [override(key, now) for key, (_, now) in found.items() if key.split(".")[0] not in ("threads", "track")]


def _differing(one: Genotype, other: Genotype) -> int:
    """In how many of its numbers a cell is another."""
    return sum(a != b for a, b in zip(one, other, strict=True))


def _decode_gap(comparison: Comparison) -> float | None:
    """What decoding loses, as a difference of accuracies; None where the strategy decodes no adapted supernet."""
    if not {"supernet", "child"} <= comparison.scores.keys():
        return None
    supernet, child = (statistics.fmean(comparison.scores[name].transductive) for name in ("supernet", "child"))
    return supernet - child


def _draw_cells(bench: Workbench, genotypes: Sequence[Genotype], directory: RunDirectory) -> None:
    """Draws the cells that most tasks got."""
    for old in (directory.path / "cells").glob("task-*.svg"):
        old.unlink()
    for rank, (genotype, n) in enumerate(Counter(genotypes).most_common(SHOWN_CELLS), start=1):
        path = directory.path / "cells" / f"task-{rank}.svg"
        draw_genotype(bench.space, genotype, path, f"cell of {n} of {len(genotypes)} tasks")


def _track(directory: RunDirectory, experiment: Experiment, result: Result) -> None:
    trackers = open_trackers(directory, experiment, None)
    shapes = {"evaluate.n_way": "way", "evaluate.k_shot": "shot"}
    asked = [item.split("=", 1) for item in cast(list[str], result["overrides"])]
    shape = [f"{value}-{shapes[key]}" for key, value in asked if key in shapes]
    split = [] if result["split"] == "test" else [str(result["split"])]
    name = f"eval/{'-'.join([str(result['dataset']), *split, *shape])}"
    keys = ("accuracy", "ci95", "accuracy_inductive", "decode_gap", "posterior_entropy")
    scalars = {f"{name}/{key}": result[key] for key in keys}
    numbers = {key: value for key, value in scalars.items() if isinstance(value, float)}
    exit_code = 1
    try:
        trackers.log({"eval/episode": cast(int, result["episodes"]), **numbers})
        trackers.artifact("result", "result", directory.result, ("latest",))
        exit_code = 0
    finally:
        trackers.finish(exit_code)
