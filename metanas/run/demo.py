"""The demonstration: everything that metanas is for, on built-in data, in a few minutes on two CPU cores."""

from dataclasses import replace
from pathlib import Path

from metanas.config import Experiment
from metanas.config_file import load_experiment
from metanas.run import build_data
from metanas.run.adapt import Adapted, adapt
from metanas.run.directory import RunDirectory
from metanas.run.evaluate import Result, evaluate
from metanas.run.meta_train import meta_train
from tasks.bank import ImageBank
from tasks.picture import to_picture
from tasks.sampler import EpisodeSampler

SETTINGS = ["name=demo", "evaluate.episodes=300"]
"""The demonstration is the default configuration, with fewer test episodes."""


def demo_experiment(overrides: list[str]) -> Experiment:
    """The configuration of the demonstration."""
    return load_experiment(None, [*SETTINGS, *overrides])


def demo(experiment: Experiment, directory: RunDirectory, *, quiet: bool = False) -> tuple[Result, Adapted]:
    """Meta-trains, evaluates, and adapts to one unseen task whose images are left in `example/`.

    A demonstration that was interrupted goes on where it was.
    """
    meta_train(experiment, directory, resume=directory.exists, quiet=quiet)
    result = evaluate(directory, experiment, quiet=quiet)
    example = directory.path / "example"
    write_example(experiment, example)
    adapted = adapt(directory, experiment, example / "support", example / "query", example / "adapted")
    return result, adapted


def write_example(experiment: Experiment, folder: Path) -> None:
    """Writes test episode 0 as a person would bring it: folders of pictures, one a class."""
    bank = build_data.dataset(experiment.data)["test"]
    spec = build_data.judged_spec(experiment)
    if experiment.task.varied:  # its shape is the largest one, which not every class has images for
        fewest = int(bank.counts.min())
        k_shot = min(spec.k_shot, fewest - 1)
        spec = replace(spec, k_shot=k_shot, n_query=min(spec.n_query, fewest - k_shot))
    sampler = EpisodeSampler(bank, spec, experiment.seed)
    for rows in sampler.rows([0])[0].tolist():
        name = _class_of(bank, rows[0]).replace("/", "-")
        for part, chosen in (("support", rows[: spec.k_shot]), ("query", rows[spec.k_shot :])):
            where = folder / part / name
            where.mkdir(parents=True, exist_ok=True)
            for i, row in enumerate(chosen):
                to_picture(bank.pixels[row]).save(where / f"{i:02d}.png")


def _class_of(bank: ImageBank, row: int) -> str:
    here = (bank.starts <= row) & (row < bank.starts + bank.counts)
    return bank.classes[int(here.nonzero()[0])]
