"""`meta.augment`: training episodes change, those that judge a run do not."""

from pathlib import Path

import pytest
import torch

from metanas.config import Experiment
from metanas.config_file import load_experiment
from metanas.run import build_data
from tasks.augment import AUGMENTATIONS

ALL = f"meta.augment=[{','.join(AUGMENTATIONS)}]"
COLOURS = ["data.source=glyphs", "data.channels=3"]


def training(*overrides: str) -> tuple[Experiment, torch.Tensor, torch.Tensor]:
    """Support and query images of the training episodes 0 and 1."""
    experiment = load_experiment(None, [*COLOURS, *overrides])
    (stack,) = build_data.training(experiment, [build_data.dataset(experiment.data)]).stacks([0, 1])
    return experiment, stack.episode.support.x, stack.episode.query.x


def test_each_image_of_a_training_episode_is_changed_and_always_alike() -> None:
    _, *plain = training()
    _, *changed = training(ALL)
    _, *again = training(ALL)
    for before, after, twice in zip(plain, changed, again, strict=True):
        assert before.shape == after.shape
        assert (before != after).flatten(2).any(-1).all()
        assert torch.equal(after, twice)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_name_does_something(name: str) -> None:
    assert not torch.equal(training()[1], training(f"meta.augment=[{name}]")[1])


def test_images_that_judge_stay_as_they_are() -> None:
    plain, changed = (load_experiment(None, [*COLOURS, *more]) for more in ([], [ALL]))
    found = build_data.dataset(plain.data)
    for split in ("validation", "test"):
        first, second = (build_data.episodes(experiment, found, split)[0] for experiment in (plain, changed))
        assert torch.equal(first.support.x, second.support.x)
        assert torch.equal(first.query.x, second.query.x)


def test_every_member_of_a_mixture_is_augmented_and_keeps_its_name(small_cifar: Path) -> None:
    overrides = ["data.source=cifar_fs", "data.mix=[glyphs]", "data.channels=3", f"data.root={small_cifar}"]
    plain, changed = (load_experiment(None, ["task.n_query=1", *overrides, *more]) for more in ([], [ALL]))
    parts = [build_data.dataset(plain.data.of(name)) for name in plain.data.sources]
    before, after = build_data.training(plain, parts), build_data.training(changed, parts)
    for i in range(6):
        assert before.member_of(i) == after.member_of(i)  # type: ignore[attr-defined]
        assert not torch.equal(before[i].support.x, after[i].support.x)


@pytest.mark.parametrize("names", ["[mirror]", "[flip, flip]"])
def test_a_wrong_list_is_refused_by_name(metanas, tmp_path: Path, names: str) -> None:
    line = metanas("meta-train", "--out", tmp_path / "run", f"meta.augment={names}").line
    assert "meta.augment must name each of crop, flip, affine, jitter, cutout at most once, got" in line
    assert not (tmp_path / "run").exists()
