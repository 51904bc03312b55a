"""From a configuration to its data sets and episodes."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from metanas.config import Data, Experiment
from tasks.augment import AUGMENTATIONS, Augmented, rotations
from tasks.catalogue import CARDS, IMAGE_READERS, READERS
from tasks.channels import with_channels
from tasks.data_root import cache_root, data_root
from tasks.dataset import Dataset
from tasks.duplicates import without_duplicates
from tasks.episode import Episodes, TaskSpec
from tasks.errors import DataError, TooFewImages
from tasks.mixture import Mixture, check_mixable
from tasks.sampler import EpisodeSampler
from tasks.sources.folder import folder
from tasks.sources.glyphs import glyphs
from tasks.split import ClassSplit, SplitName, random_split
from tasks.varied import VariedSampler

_LOG = logging.getLogger(__name__)


def dataset(data: Data) -> Dataset:
    """The data set; raises `DataError` where it is missing or damaged."""
    read = _read(data)
    read = replace(read, split=divided(read.split, data))
    found = with_channels(without_duplicates(read) if data.drop_duplicates else read, data.channels)
    say_skipped(data.source, found.bank.skipped)
    return rotations(found) if data.rotations else found


def say_skipped(where: str, files: Sequence[str]) -> None:
    """Warns of files that were left out because they cannot be read, where there are any."""
    if files:
        plural = "" if len(files) == 1 else "s"
        _LOG.warning("%s: left out %d file%s that cannot be read, first %s", where, len(files), plural, files[0])


def divided(split: ClassSplit, data: Data) -> ClassSplit:
    """A published division of classes, or its classes divided as `data.split` says."""
    return random_split(split) if data.split == "random" else split


def _read(data: Data) -> Dataset:
    if data.source == "glyphs":
        return glyphs(data.resolution, cache=cache_root())
    if data.source in IMAGE_READERS:
        others = ", ".join(name for name in CARDS if name not in IMAGE_READERS)
        raise DataError(
            f"expected a data set that holds out classes for validation and test, got {data.source}, which shows the "
            f"same {CARDS[data.source].shared} classes in training and test; choose one of {others}"
        )
    root = data_root(data.root)
    if data.source == "folder":
        image = (data.channels, data.resolution, data.resolution)
        return folder(root, image, skip_corrupt=data.skip_corrupt, allow_duplicates=data.drop_duplicates)
    return READERS[data.source](root, data.resolution, cache_root(), skip_corrupt=data.skip_corrupt)


def spec(experiment: Experiment) -> TaskSpec:
    """The shape of the episodes of meta-training."""
    data, task = experiment.data, experiment.task
    image = (data.channels, data.resolution, data.resolution)
    return TaskSpec(task.n_way, task.k_shot, task.n_query, image, task.varied)


def judged_spec(experiment: Experiment) -> TaskSpec:
    """The shape of the episodes of validation and evaluation."""
    trained, judging = spec(experiment), experiment.evaluate
    return replace(
        trained,
        n_way=judging.n_way or trained.n_way,
        k_shot=judging.k_shot or trained.k_shot,
        n_query=judging.n_query,
    )


def episodes(experiment: Experiment, found: Dataset, split: SplitName) -> Episodes:
    """The episodes of one split that judge, on the device of `found`; the same for every method compared on them."""
    return _drawn(experiment, found, split, judged_spec(experiment), "evaluate.n_query")


def _drawn(
    experiment: Experiment, found: Dataset, split: SplitName, shape: TaskSpec, key: str, *, by_class: bool = False
) -> Episodes:
    """Episodes of `shape`, whose query images `key` asks for."""
    bank = found[split]  # its name holds the split, so no two splits draw alike
    task, seed = experiment.task, experiment.seed
    if task.varied:
        return VariedSampler(bank, shape, seed, least_way=task.least_way, most_support=task.most_support)
    try:
        return EpisodeSampler(bank, shape, seed, by_class=by_class)
    except TooFewImages as error:
        raise DataError(f"{error} ({split} episodes take n_query from {key})") from error


def training(experiment: Experiment, parts: Sequence[Dataset]) -> Episodes:
    """The episodes of meta-training: those of the data sets `parts`, `data.source` first, augmented and mixed."""
    data = experiment.data
    check_mixable(parts)
    shape, by_class = spec(experiment), experiment.task.labels == "classes"
    drawn = [_drawn(experiment, part, "train", shape, "task.n_query", by_class=by_class) for part in parts]
    members = [_augmented(experiment, part) for part in drawn]
    if len(members) == 1:
        return members[0]
    weights = [len(part.split.train) for part in parts] if data.mixing == "proportional" else None
    return Mixture(members, experiment.seed, data.weights or weights)


def _augmented(experiment: Experiment, found: Episodes) -> Episodes:
    """Training episodes as `meta.augment` changes their images."""
    names = experiment.meta.augment
    if not names:
        return found
    changes = [AUGMENTATIONS[name](experiment.data.resolution) for name in names]
    return Augmented(found, changes, experiment.seed, query=True)
