"""The images that a run gets wrong most often, so that you can see what a missing tenth of a point is made of.

    python scripts/hard_images.py RUN [--out PICTURE.png] [KEY=VALUE ...]

What `adapt` would hand out predicts the query images of the test episodes, each image of the split in many of them,
transductively. One line of JSON for each data set says the accuracy, how many of the images are ever wrong, and what
share of all errors the 10, 30, 100 and 300 worst of them make. Its picture, in the run directory without `--out`, has
a row for each of the worst: the image itself on the left, and then others of its class, as they come.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from metanas.errors import ConfigError, MetaNasError
from metanas.evaluate.accuracy import predictions
from metanas.evaluate.interval import interval
from metanas.run.directory import RunDirectory
from metanas.run.judges import judges
from metanas.run.non_finite import blaming
from metanas.run.restore import Restored, restore
from metanas.track.console import Progress
from tasks import EpisodeSampler, ImageBank
from tasks.contact_sheet import enlarged, grid
from tasks.episode import spans
from tasks.errors import DataError
from tasks.picture import to_picture

WORST = (10, 30, 100, 300)
ROWS, OTHERS = 24, 8
"""Images of the picture, and how many of its class stand beside each."""


def main() -> None:
    """Prints one line for each data set and writes its picture."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("run", type=Path)
    asked.add_argument("--out", type=Path)
    asked.add_argument("overrides", nargs="*")
    given = asked.parse_intermixed_args()
    try:
        look(given.run, given.out, given.overrides)
    except (MetaNasError, DataError) as error:
        asked.exit(2, f"hard_images: {error}\n")


def look(run: Path, out: Path | None, overrides: Sequence[str]) -> None:
    """Prints the line of each data set that judges `run` and writes its picture."""
    directory = RunDirectory(run)
    experiment = directory.experiment(overrides)
    restored = restore(directory, experiment)
    found = judges(directory, experiment, restored.bench, "test")
    if out is not None and (len(found) > 1 or not out.parent.is_dir()):
        raise ConfigError(
            f"--out {out}: expected a file in a directory that exists, and one data set, got {len(found)}; without "
            "--out pictures are in the run directory, or choose one by evaluate.sources=[NAME]"
        )
    for source, judge in found.items():
        if not isinstance(judge.episodes, EpisodeSampler):
            raise ConfigError("expected episodes of one shape, got those of a run with task.varied=true")
        seen = looked_at(restored, judge.episodes)
        path = out or run / "pictures" / f"hard_images_{source}.png"
        if drawn := worst(seen.wrong):
            path.parent.mkdir(exist_ok=True)
            to_picture(enlarged(sheet(judge.episodes.bank, drawn), 2)).save(path, optimize=True)
        said = interval(seen.shares)
        line = {
            "dataset": judge.dataset,
            "episodes": len(seen.shares),
            "accuracy": f"{100 * said.mean:.2f} +- {100 * said.ci95:.2f}",
            "images": int((seen.shown > 0).sum()),
            "ever wrong": int((seen.wrong > 0).sum()),
            "picture": str(path) if drawn else None,
        }
        print(json.dumps(line | concentration(seen.wrong)))


class Seen(NamedTuple):
    """What became of the images of a bank, an entry for each."""

    shown: Tensor
    """How often it was a query image."""
    wrong: Tensor
    """How often it was taken for another class."""
    shares: list[float]
    """Each task's share of right answers."""


def looked_at(restored: Restored, episodes: EpisodeSampler) -> Seen:
    """Has the query images of all episodes predicted by what is handed out for their task."""
    bench, start = restored.bench, restored.state.learner.params
    settings, images = bench.experiment.evaluate, len(episodes.bank.pixels)
    shown, wrong = torch.zeros(images, dtype=torch.long), torch.zeros(images, dtype=torch.long)
    shares: list[float] = []
    with Progress("episode", settings.episodes, 50, quiet=False) as progress:
        for part in spans(0, settings.episodes, settings.chunk):
            for stack in episodes.stacks(range(*part)):
                support, query = stack.episode
                with blaming(stack.numbers, episodes.bank.name):
                    objective, params = bench.deploy(bench.problem(start, support, stack.n_way), stack.numbers[0])
                    logits = predictions(objective, params, support.x, query.x, transductive=True)
                missed = (logits.argmax(-1) != query.y).cpu()
                rows = episodes.rows(stack.numbers)[:, :, bench.judged.k_shot :].flatten(1)
                shown += rows.flatten().bincount(minlength=images)
                wrong += rows[missed].bincount(minlength=images)
                shares += (1 - missed.double().mean(-1)).tolist()
            progress.update(len(shares))
    return Seen(shown, wrong, shares)


def concentration(wrong: Tensor) -> dict[str, str]:
    """What share of the errors, a count for each image, the worst images make, in %."""
    often = wrong.sort(descending=True).values
    total = max(int(wrong.sum()), 1)
    return {f"errors of the {n} worst": f"{100 * int(often[:n].sum()) / total:.0f} %" for n in WORST}


def worst(wrong: Tensor) -> list[int]:
    """The images that are wrong most often, as far as there are any, at most `ROWS`."""
    return [int(image) for image in wrong.argsort(descending=True, stable=True)[:ROWS] if wrong[image] > 0]


def sheet(bank: ImageBank, images: Sequence[int]) -> Tensor:
    """The picture, uint8 `[c, height, width]`: a row for each of `images`, with others of its class beside it."""
    rows = torch.zeros(len(images), 1 + OTHERS, *bank.image, dtype=torch.uint8)
    for row, image in zip(rows, images, strict=True):
        (label,) = ((bank.starts <= image) & (image < bank.starts + bank.counts)).nonzero()[:, 0].tolist()
        start, count = int(bank.starts[label]), int(bank.counts[label])
        others = [other for other in range(start, start + count) if other != image][:OTHERS]
        found = bank.pixels[bank.place(torch.tensor([image, *others]))]
        row[: len(found)] = found.cpu()
    return grid(rows)


if __name__ == "__main__":
    main()
