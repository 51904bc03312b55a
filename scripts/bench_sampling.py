"""Episodes per second: this package's sampler beside learn2learn's task set, on the same bank, in the same run.

    python scripts/bench_sampling.py [--json]

One CPU thread, CPU seconds. The two take turns of about the same time; a figure is the median of 9 turns, with their
quartiles. Both are measured twice: images as they lie in the bank (uint8), and as a network takes them (floats in
[0, 1]). Both keep freed memory in the process, as a run does, and Python's garbage collector is off, as in `timeit`.

Copying is the part of this package's time that goes into the pixels alone, when it is known which ones. The last line
gives the share of sampling in what 8 tasks of the default configuration take, outer step apart, in one process.
"""

import gc
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.data import Dataset as TorchDataset

from metanas.allocator import keep_freed_memory
from metanas.config import Experiment
from metanas.meta.batch import Executor
from metanas.params import MetaParams
from metanas.run import build, build_data
from metanas.run.teacher import Teacher
from metanas.run.workbench import Workbench
from metanas.spaces.initial import initial_weights
from tasks import EpisodeSampler, ImageBank, TaskSpec, stream
from tasks.table import tabled

TURNS = 9
META_BATCH = 16
META_BATCHES = 20
"""In a turn of this package; a turn of learn2learn is one meta-batch."""
SHAPES = ((5, 1, 15), (20, 5, 15))
"""Ways, shots, queries."""


class Images(TorchDataset[tuple[torch.Tensor, int]]):
    """A bank as a torch data set: one labelled image an item."""

    def __init__(self, bank: ImageBank, *, floats: bool) -> None:
        self.bank, self.floats = bank, floats
        self.labels = torch.arange(len(bank.classes)).repeat_interleave(bank.counts).tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        pixels = self.bank.pixels[row]
        return pixels.float() / 255 if self.floats else pixels, self.labels[row]


def taskset(bank: ImageBank, n_way: int, per_class: int, *, floats: bool) -> Any:
    """learn2learn's sampler of the same episodes, with its own fused transform."""
    from tasks._compat import torchvision  # noqa: F401 - learn2learn imports torchvision itself

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import learn2learn as l2l
    images = Images(bank, floats=floats)
    # Told where the classes are, it need not look at every image.
    rows = {
        label: list(range(int(bank.starts[label]), int(bank.starts[label] + bank.counts[label])))
        for label in range(len(bank.classes))
    }
    data = l2l.data.MetaDataset(images, rows, dict(enumerate(images.labels)))
    transforms = l2l.data.transforms
    steps = [
        transforms.FusedNWaysKShots(data, n=n_way, k=per_class),
        transforms.LoadData(data),
        transforms.RemapLabels(data),
    ]
    return l2l.data.Taskset(data, steps)


def noise(classes: int, per_class: int, image: tuple[int, int, int]) -> ImageBank:
    """A bank of the size of a published data set."""
    rng = stream(0, "noise")
    pixels = torch.randint(256, (classes * per_class, *image), generator=rng, dtype=torch.uint8)
    counts = torch.full((classes,), per_class)
    return ImageBank("noise", tuple(map(str, range(classes))), tabled([pixels]), counts.cumsum(0) - counts, counts)


BANKS = {
    "Omniglot, 1028 x 20, 1 x 28 x 28": lambda: noise(1028, 20, (1, 28, 28)),
    "CIFAR-FS, 64 x 600, 3 x 32 x 32": lambda: noise(64, 600, (3, 32, 32)),
    "miniImageNet, 16 of 64 x 600, 3 x 84 x 84": lambda: noise(16, 600, (3, 84, 84)),
}


def seconds(call: Callable[[int], object], times: int = 1) -> float:
    """Of the CPU, for `call(0)`, `call(1)` ... in a row; each result is dropped before the next."""
    began = time.process_time()
    for i in range(times):
        call(i)
    return time.process_time() - began


def compare(name: str, bank: ImageBank, shape: tuple[int, int, int], *, floats: bool) -> dict[str, Any]:
    """Seconds an episode of both, taking turns."""
    n_way, k_shot, n_query = shape
    if bank.counts.min() < k_shot + n_query or len(bank.classes) < n_way:
        return {}
    theirs = taskset(bank, n_way, k_shot + n_query, floats=floats)
    sampler = EpisodeSampler(bank, TaskSpec(n_way, k_shot, n_query, bank.image), 0)
    draw = sampler.stacks if floats else sampler.pixels
    rows = torch.stack([sampler.rows([i]).flatten() for i in range(META_BATCHES * META_BATCH)]).view(META_BATCHES, -1)

    def copy(i: int) -> None:
        bank.floats(rows[i]) if floats else bank.pixels.index_select(0, rows[i])

    draw(range(META_BATCH)), theirs.sample(), copy(0)
    turns = []
    for first in range(0, TURNS * META_BATCHES, META_BATCHES):
        ours = seconds(lambda i, k=first: draw(range((k + i) * META_BATCH, (k + i + 1) * META_BATCH)), META_BATCHES)
        copying = seconds(copy, META_BATCHES)
        learn2learn = seconds(lambda i: theirs.sample(), META_BATCH)
        turns.append((ours / META_BATCHES / META_BATCH, copying / META_BATCHES / META_BATCH, learn2learn / META_BATCH))
    ours, copying, learn2learn = map(statistics.median, zip(*turns, strict=True))
    low, middle, high = statistics.quantiles([turn[2] / turn[0] for turn in turns], n=4)
    return {
        "bank": name,
        "episode": f"{n_way}-way {k_shot}-shot, {n_query} query",
        "images": "floats" if floats else "uint8",
        "episodes_per_second": 1 / ours,
        "learn2learn_episodes_per_second": 1 / learn2learn,
        "ratio": middle,
        "ratio_quartiles": [low, high],
        "copying": copying / ours,
    }


def share(meta_batch: int) -> dict[str, Any]:
    """What part of the work on a meta-batch sampling takes, at the defaults but for its size, outer step apart."""
    experiment = Experiment()
    bench = Workbench.of(experiment)
    data = build_data.dataset(experiment.data)
    train = build_data.training(experiment, [data])
    teacher = Teacher(bench, Executor(build.learner(experiment).gradient), train, ())
    start = MetaParams(initial_weights(bench.net, stream(0, "weights")), bench.space.logits())
    teacher.verdict(start, 0, 0, meta_batch)
    sampling = statistics.median(seconds(lambda _: train.stacks(range(meta_batch))) for _ in range(TURNS))
    whole = statistics.median(seconds(lambda _: teacher.verdict(start, 0, 0, meta_batch)) for _ in range(TURNS))
    return {"meta_batch": meta_batch, "sampling_seconds": sampling, "seconds": whole, "share": sampling / whole}


def main() -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
    gc.disable()
    rows = [
        row
        for name, make in BANKS.items()
        for bank in [make()]
        for shape in SHAPES
        for floats in (False, True)
        if (row := compare(name, bank, shape, floats=floats))
    ]
    part = share(8)
    if "--json" in sys.argv[1:]:
        print(json.dumps({"threads": 1, "turns": TURNS, "episodes": rows, "meta_iteration": part}))
        return
    print("| bank | episode | images | episodes/s | learn2learn | ratio (quartiles) | copying |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        low, high = row["ratio_quartiles"]
        print(
            f"| {row['bank']} | {row['episode']} | {row['images']} | {row['episodes_per_second']:,.0f} | "
            f"{row['learn2learn_episodes_per_second']:,.0f} | {row['ratio']:.1f} ({low:.1f} to {high:.1f}) | "
            f"{100 * row['copying']:.0f} % |"
        )
    print(
        f"\nof a meta-iteration with {part['meta_batch']} tasks, {1000 * part['seconds']:.0f} ms, sampling takes "
        f"{1000 * part['sampling_seconds']:.2f} ms, {100 * part['share']:.2f} %"
    )


if __name__ == "__main__":
    main()
