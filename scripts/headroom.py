"""How much a cell of its own could be worth to a task, if somebody knew which one: the ceiling of all adaptation.

    python scripts/headroom.py RUN [--cells 12] [KEY=VALUE ...]

The cells that the test tasks of a run choose most often, and the one that its prior prefers, are each given to *every*
task, with the support steps that its own cell would get, twice: with the task's support set, and with another one of
the same classes, taken out of the query images. What is left of these is in two halves. Transductive accuracies, in %:

- `prior`, `best for all`, `best for each`: the cell that one half picks, judged by the other, both ways round;
- `own`: the cell that the task has chosen, for tasks that chose one of these cells;
- `least support loss`, `most certain`: the cell after whose steps the support images have the least loss, or the query
  images the least entropy, both less the cell's mean over tasks; `committee`: the mean prediction of all cells;
- `points of a support set`: the standard deviation of what a cell is worth to a task beyond the means of the cell and
  of the task, as far as two halves of the query images agree on it after steps on the same support set;
- `points of a task`: the same, as far as they agree after steps on two support sets. This is what the classes of a task
  prefer; the rest is what a network has happened to make of five images.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from metanas.errors import ConfigError, MetaNasError
from metanas.evaluate.accuracy import predictions
from metanas.evaluate.interval import interval
from metanas.params import spread
from metanas.problem import Choice, Problem, as_decoded
from metanas.run.comparison import architecture
from metanas.run.controls import CONTROLS
from metanas.run.directory import RunDirectory
from metanas.run.judges import judges
from metanas.run.restore import restore
from metanas.run.workbench import Workbench
from metanas.spaces.space import Genotype
from metanas.track.console import Progress
from tasks.episode import Batch, Episode, spans
from tasks.errors import DataError
from tasks.stream import stream


def main() -> None:
    """Measures and prints one line for each data set."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("run", type=Path)
    asked.add_argument("--cells", type=int, default=12)
    asked.add_argument("overrides", nargs="*")
    given = asked.parse_intermixed_args()
    if given.cells < 2:
        asked.error(f"--cells: expected at least 2, got {given.cells}")
    try:
        measure(given.run, given.cells, given.overrides)
    except (MetaNasError, DataError) as error:
        asked.exit(2, f"headroom: {error}\n")


def measure(run: Path, most: int, overrides: Sequence[str]) -> None:
    """Prints the line of each data set that judges `run`, for at most so many cells."""
    directory = RunDirectory(run)
    experiment = directory.experiment(overrides)
    restored = restore(directory, experiment)
    bench, start = restored.bench, restored.state.learner.params
    if (architecture(bench), experiment.adapt.strategy) != ("searched", "gradient"):
        raise ConfigError(
            "expected a space with something to decide and adapt.strategy=gradient, got "
            f"space.kind={experiment.space.kind} and {experiment.adapt.strategy}"
        )
    if experiment.task.varied:
        raise ConfigError("expected episodes of one shape, got those of a run with task.varied=true")
    least = bench.judged.k_shot + 2
    if bench.judged.n_query < least:
        raise ConfigError(
            f"expected evaluate.n_query of at least {least}, for a second support set and two halves, got "
            f"{bench.judged.n_query}"
        )
    for judge in judges(directory, experiment, bench, "test").values():
        parts = spans(0, experiment.evaluate.episodes, experiment.evaluate.chunk)
        stacks = [stack for part in parts for stack in judge.episodes.stacks(range(*part))]
        pairs: list[tuple[list[Problem], Batch]] = []
        own: list[Genotype] = []
        for stack in stacks:
            query, *supports = divided(stack.episode, stack.n_way)
            problems = [bench.problem(start, support, stack.n_way) for support in supports]
            own += bench.strategy(problems[0], stream(experiment.seed, "search", stack.numbers[0])).genotypes
            pairs.append((problems, query))
        prior = CONTROLS["prior_child"](pairs[0][0][0], stream(0)).genotypes[0]
        often = [cell for cell, _ in Counter(own).most_common()]
        cells = list(dict.fromkeys([prior, *often]))[:most]
        seen: list[list[Seen]] = []
        with Progress("cell", len(cells), 1, quiet=False) as progress:
            for done, cell in enumerate(cells, start=1):
                found = [[after_steps(bench, p, query, cell) for p in problems] for problems, query in pairs]
                seen.append([Seen(*map(torch.cat, zip(*column, strict=True))) for column in zip(*found, strict=True)])
                progress.update(done)
        chosen = torch.tensor([cells.index(cell) if cell in cells else -1 for cell in own])
        y = torch.cat([query.y for _, query in pairs])
        shares = torch.stack([torch.stack([halves(looked.sure.argmax(-1) == y) for looked in row], 1) for row in seen])
        print(
            json.dumps(
                {"dataset": judge.dataset, "distinct": len(often)}
                | headroom(shares, chosen)
                | signs([row[0] for row in seen], y)
            )
        )


def divided(episode: Episode, n_way: int) -> tuple[Batch, Batch, Batch]:
    """What is left of the query images, the support set, and another one out of the query images."""
    shots = episode.support.y.shape[1] // n_way
    order = episode.query.y.argsort(dim=1, stable=True).view(len(episode.query.y), n_way, -1)
    another, left = order[..., :shots].flatten(1), order[..., shots:].flatten(1)
    return taken(episode.query, left), episode.support, taken(episode.query, another)


def taken(batch: Batch, rows: Tensor) -> Batch:
    """The images and labels of every task at its `rows`, `[tasks, n]`."""
    tasks = torch.arange(len(rows), device=rows.device)[:, None]
    return Batch(batch.x[tasks, rows], batch.y[tasks, rows])


class Seen(NamedTuple):
    """What there is to see of one cell in every task after its support steps."""

    support_loss: Tensor
    """`[tasks]`, in nats."""
    sure: Tensor
    """Probabilities of the query images, `[tasks, n, n_way]`."""


def after_steps(bench: Workbench, problem: Problem, query: Batch, cell: Genotype) -> Seen:
    """`cell` in all tasks of a problem, after as many support steps as a search and its child take together."""
    adapt = bench.experiment.adapt
    given = Choice((cell,) * problem.tasks, spread(problem.start, problem.tasks))
    tuned = bench.tuned(problem, given, adapt.deployed_steps)
    objective, choice = bench.classified(problem, as_decoded(problem, tuned), tuned)
    logits = predictions(objective, choice.params, problem.support.x, query.x, transductive=True)
    with torch.no_grad():
        return Seen(objective(choice.params, problem.support), logits.softmax(-1))


def halves(hits: Tensor) -> Tensor:
    """Which images `[tasks, n]` are right, as the share of each half, `[tasks, 2]`."""
    return torch.stack([hits[:, ::2].double().mean(-1), hits[:, 1::2].double().mean(-1)], dim=-1)


def headroom(shares: Tensor, chosen: Tensor) -> dict[str, object]:
    """What the shares of right answers `[cells, tasks, support sets, halves]` say; the first cell is the prior's.

    `chosen` is the cell of each task, -1 where it is none of these.
    """
    mine = shares[:, :, 0]
    rounds = []
    for a, b in ((0, 1), (1, 0)):
        picked, judged = mine[..., a], mine[..., b]
        each = judged.gather(0, picked.argmax(0, keepdim=True))[0]
        rounds.append(torch.stack([judged[0], judged[picked.mean(1).argmax()], each]))
    prior, common, each = torch.stack(rounds).mean(0)
    known = (chosen >= 0).nonzero()[:, 0]
    own = mine.mean(-1)[chosen[known], known]
    rest = shares - shares.mean(0, keepdim=True)
    rest = rest - rest.mean(1, keepdim=True)
    same = (rest[:, :, 0, 0] * rest[:, :, 0, 1] + rest[:, :, 1, 0] * rest[:, :, 1, 1]).mean(0) / 2
    other = (rest[:, :, 0, 0] * rest[:, :, 1, 1] + rest[:, :, 1, 0] * rest[:, :, 0, 1]).mean(0) / 2
    return {
        "cells": len(shares),
        "prior": said(prior),
        "best for all": said(common),
        "best for each": said(each),
        "each above all": said(each - common),
        "own above prior": said(own - mine.mean(-1)[0, known]),
        "points of a support set": deviation(same),
        "points of a task": deviation(other),
    }


def signs(seen: Sequence[Seen], y: Tensor) -> dict[str, object]:
    """How far above the prior's cell, the first, one is that a sign visible to adaptation picks, and all together."""
    sure = torch.stack([looked.sure for looked in seen])
    accuracy = (sure.argmax(-1) == y).double().mean(-1)
    loss = torch.stack([looked.support_loss for looked in seen])
    entropy = torch.special.entr(sure).sum(-1).mean(-1)
    picks = {"least support loss": loss, "most certain": entropy}
    found: dict[str, object] = {}
    for name, sign in picks.items():
        pick = (sign - sign.mean(1, keepdim=True)).argmin(0, keepdim=True)
        found[f"{name} above prior"] = said(accuracy.gather(0, pick)[0] - accuracy[0])
    together = (sure.mean(0).argmax(-1) == y).double().mean(-1)
    return found | {"committee above prior": said(together - accuracy[0])}


def said(values: Tensor) -> str:
    """The mean over tasks and half the width of its interval, in %."""
    found = interval(values.tolist())
    return f"{100 * found.mean:.1f} +- {100 * found.ci95:.1f} ({len(values)} tasks)"


def deviation(variances: Tensor) -> str:
    """The root of the mean over tasks, and of the ends of its interval; negative estimates count as none."""
    found = interval(variances.tolist())
    low, middle, high = (100 * max(0.0, found.mean + side * found.ci95) ** 0.5 for side in (-1, 0, 1))
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


if __name__ == "__main__":
    main()
