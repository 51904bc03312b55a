"""The contract of `tasks.episode.Episodes`; a source of episodes joins with one line in SOURCES."""

import json
import multiprocessing
import pickle
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from torch.utils.data import TensorDataset

from tasks import (
    ClassSplit,
    Dataset,
    Episodes,
    EpisodeSampler,
    ImageBank,
    Mixture,
    TaskSpec,
    VariedSampler,
    check_episode,
    stream,
)
from tasks.augment import Augmented, colour_jitter, cutout, random_affine, random_crop, rotations
from tasks.episode import n_way_of
from tasks.exchange import TasksetEpisodes, from_torch
from tasks.sources import (
    aircraft,
    cifar100,
    cub,
    cub_feat,
    dtd,
    emnist,
    gtsrb,
    mini_imagenet,
    tiered_imagenet,
    vgg_flowers,
)
from tasks.sources.cifar_fs import cifar_fs
from tasks.sources.fc100 import fc100
from tasks.sources.folder import folder
from tasks.sources.glyphs import characters, draw_classes

IMAGE = (1, 12, 12)
SPEC = TaskSpec(n_way=4, k_shot=2, n_query=3, image=IMAGE)
CLASSES = tuple(f"class{i}" for i in range(9))


Make = Callable[[int, Path], Episodes]


def _noise() -> Dataset:
    rng = stream(0, "noise")
    images = {c: torch.randint(256, (6 + i, *IMAGE), generator=rng).byte() for i, c in enumerate(CLASSES)}
    return Dataset("noise", ImageBank.from_classes("noise", images), ClassSplit(CLASSES, (), ()))


def of_noise(seed: int, root: Path) -> Episodes:
    return EpisodeSampler(_noise()["train"], SPEC, seed)


def of_all_classes(seed: int, root: Path) -> Episodes:
    return EpisodeSampler(_noise()["train"], replace(SPEC, n_way=len(CLASSES)), seed, by_class=True)


def of_variety(seed: int, root: Path) -> Episodes:
    return VariedSampler(_noise()["train"], replace(SPEC, n_way=8, varied=True), seed, least_way=3, most_support=12)


def of_rotations(seed: int, root: Path) -> Episodes:
    return EpisodeSampler(rotations(_noise())["train"], SPEC, seed)


def of_glyphs(seed: int, root: Path) -> Episodes:
    codes = dict(list(characters()["test"].items())[:8])
    return EpisodeSampler(draw_classes(codes, 12, 0), SPEC, seed)


def of_folder(seed: int, root: Path) -> Episodes:
    noise = _noise().bank
    for name in noise.classes:
        (root / name).mkdir(exist_ok=True)
        for i, pixels in enumerate(noise.images_of(name)):
            Image.fromarray(pixels[0].numpy()).save(root / name / f"{i}.png")
    return EpisodeSampler(folder(root, IMAGE)["train"], SPEC, seed)


def of_cifar(make: Callable[[Path, int], Dataset], seed: int, root: Path) -> Episodes:
    rng = stream(0, "cifar")
    for name in (name for group in cifar100.superclasses().values() for name in group):
        path = root / cifar100.FOLDERS / name.removeprefix("cifar100/")
        path.mkdir(parents=True, exist_ok=True)
        for i, pixels in enumerate(torch.randint(256, (5, 12, 12, 3), generator=rng).byte().numpy()):
            Image.fromarray(pixels).save(path / f"{i}.png", compress_level=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cifar100, "PER_CLASS", 5)
        return EpisodeSampler(make(root, 12)["test"], replace(SPEC, image=(3, 12, 12)), seed)


def of_photographs(
    module: ModuleType,
    read: Callable[[Path, int], Dataset],
    write: Callable[[Path, list[str]], None],
    seed: int,
    root: Path,
) -> Episodes:
    """A published data set with five of its training classes and one of the others, 6 images each."""
    lists = json.loads(module.LIST.read_text(encoding="utf-8"))
    few = {part: lists[part][:number] for part, number in (("train", 5), ("validation", 1), ("test", 1))}
    root.mkdir(exist_ok=True)
    (root / "few.json").write_text(json.dumps(few), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for changed in (module, cub):  # cub_feat has the images of cub
            patch.setattr(changed, "LIST", root / "few.json")
            patch.setattr(changed, "CARD", replace(changed.CARD, count=42))
            for name, value in (("PER_CLASS", 6), ("BANNER", 2)):
                patch.setattr(changed, name, value, raising=False)
        write(root, [name for part in few.values() for name in part])
        return EpisodeSampler(read(root, 12)["train"], replace(SPEC, image=(3, 12, 12)), seed)


def _pictures(names: list[str]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (len(names), 6, 14, 12, 3), dtype=np.uint8)


def class_folders(folders: tuple[str, ...], root: Path, names: list[str]) -> None:
    """Each class in one of `folders`: five in the first, one in each that follows."""
    for i, (name, pictures) in enumerate(zip(names, _pictures(names), strict=True)):
        path = root / folders[max(0, i - 4) % len(folders)] / name
        path.mkdir(parents=True, exist_ok=True)
        for j, pixels in enumerate(pictures):
            Image.fromarray(pixels).save(path / f"{j}.png", compress_level=1)


def numbered(pattern: str, root: Path, names: list[str]) -> None:
    """Images `pattern` from 1 on, class after class."""
    (root / pattern).parent.mkdir(exist_ok=True)
    for i, pixels in enumerate(_pictures(names).reshape(-1, 14, 12, 3), 1):
        Image.fromarray(pixels).save(root / pattern.format(i), "png", compress_level=1)


def aircraft_files(root: Path, names: list[str]) -> None:
    data = root / "fgvc-aircraft-2013b" / "data"
    data.mkdir(parents=True, exist_ok=True)
    lines = [f"{6 * i + j:07d} {name}\n" for i, name in enumerate(names) for j in range(1, 7)]
    for part, of_part in (("trainval", lines), ("test", [])):
        (data / f"images_variant_{part}.txt").write_text("".join(of_part), encoding="utf-8")
    numbered("fgvc-aircraft-2013b/data/images/{:07d}.jpg", root, names)


def flower_files(root: Path, names: list[str]) -> None:
    (root / "flowers-102").mkdir(exist_ok=True)
    savemat(root / vgg_flowers.LABELS, {"labels": np.array([[int(name[:3]) for name in names]]).repeat(6, 1)})
    numbered("flowers-102/jpg/image_{:05d}.jpg", root, names)


def mini_pickles(root: Path, names: list[str]) -> None:
    (root / "mini-imagenet").mkdir(exist_ok=True)
    for part, of_part in (("train", names[:5]), ("validation", names[5:6]), ("test", names[6:])):
        rows = {name: list(range(6 * i, 6 * i + 6)) for i, name in enumerate(of_part)}
        content = {"image_data": _pictures(of_part).reshape(-1, 14, 12, 3), "class_dict": rows}
        (root / f"mini-imagenet/mini-imagenet-cache-{part}.pkl").write_bytes(pickle.dumps(content))


def of_emnist(seed: int, root: Path) -> Episodes:
    folder = root / emnist.RAW
    folder.mkdir(parents=True, exist_ok=True)
    rng = stream(0, "emnist")
    for part, count in (("train", 94), ("test", 141)):
        pixels = torch.randint(256, (count, 28, 28), generator=rng).byte()
        for name, content in (("images-idx3", pixels), ("labels-idx1", torch.arange(count).byte() % 47)):
            header = bytes([0, 0, 8, content.ndim]) + b"".join(n.to_bytes(4, "big") for n in content.shape)
            (folder / f"emnist-balanced-{part}-{name}-ubyte").write_bytes(header + content.numpy().tobytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(emnist.COUNTS, "balanced", (94, 141))
        patch.setattr(emnist, "BALANCED", replace(emnist.BALANCED, count=94 + 141))
        return EpisodeSampler(emnist.emnist_balanced(root, 12)["test"], SPEC, seed)


def of_gtsrb(seed: int, root: Path) -> Episodes:
    rng, few = stream(0, "signs"), {name: 5 + i % 2 for i, name in enumerate(gtsrb.counts())}
    for i, count in enumerate(few.values()):
        path = root / gtsrb.IMAGES / f"{i:05d}"
        path.mkdir(parents=True, exist_ok=True)
        for n in range(count):
            pixels = torch.randint(256, (15, 12, 3), generator=rng).byte().numpy()
            Image.fromarray(pixels).save(path / f"{n}.ppm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gtsrb, "counts", lambda: few)
        patch.setattr(gtsrb, "CARD", replace(gtsrb.CARD, count=sum(few.values())))
        return EpisodeSampler(gtsrb.gtsrb(root, 12)["test"], replace(SPEC, image=(3, 12, 12)), seed)


def _tensors() -> TensorDataset:
    bank = _noise().bank
    return TensorDataset(bank.pixels / 255, torch.arange(len(CLASSES)).repeat_interleave(bank.counts))


def of_torch(seed: int, root: Path) -> Episodes:
    return EpisodeSampler(from_torch("tensors", _tensors(), IMAGE)["train"], SPEC, seed)


def of_learn2learn(seed: int, root: Path) -> Episodes:
    from tasks._compat import torchvision  # noqa: F401 - learn2learn imports torchvision itself

    l2l = pytest.importorskip("learn2learn")
    transforms, data = l2l.data.transforms, l2l.data.MetaDataset(_tensors())
    ways = transforms.FusedNWaysKShots(data, n=SPEC.n_way, k=SPEC.k_shot + SPEC.n_query)
    tasks = l2l.data.Taskset(data, [ways, transforms.LoadData(data), transforms.RemapLabels(data)])
    return TasksetEpisodes(tasks, SPEC, seed)


def of_augmented(seed: int, root: Path) -> Episodes:
    changes = [partial(random_crop, padding=2), random_affine, colour_jitter, partial(cutout, size=3)]
    return Augmented(of_noise(seed, root), changes, seed, query=True)


SOURCES: dict[str, Make] = {
    "noise": of_noise,
    "all classes": of_all_classes,
    "rotations": of_rotations,
    "glyphs": of_glyphs,
    "folder": of_folder,
    "cifar_fs": partial(of_cifar, cifar_fs),
    "fc100": partial(of_cifar, fc100),
    "mini_imagenet": partial(of_photographs, mini_imagenet, mini_imagenet.mini_imagenet, mini_pickles),
    "tiered_imagenet": partial(
        of_photographs,
        tiered_imagenet,
        tiered_imagenet.tiered_imagenet,
        partial(class_folders, tuple(f"tiered-imagenet/{part}" for part in ("train", "val", "test"))),
    ),
    "cub": partial(of_photographs, cub, cub.cub, partial(class_folders, ("CUB_200_2011/images",))),
    "cub_feat": partial(of_photographs, cub_feat, cub_feat.cub_feat, partial(class_folders, ("CUB_200_2011/images",))),
    "aircraft": partial(of_photographs, aircraft, aircraft.aircraft, aircraft_files),
    "vgg_flowers": partial(of_photographs, vgg_flowers, vgg_flowers.vgg_flowers, flower_files),
    "dtd": partial(of_photographs, dtd, dtd.dtd, partial(class_folders, ("dtd/dtd/images",))),
    "emnist_balanced": of_emnist,
    "gtsrb": of_gtsrb,
    "torch": of_torch,
    "learn2learn": of_learn2learn,
    "augmented": of_augmented,
    "varied": of_variety,
    "mixture of varied": lambda seed, tmp_path: Mixture(
        [of_variety(seed, tmp_path), of_variety(seed + 9, tmp_path)], seed
    ),
    "mixture": lambda seed, tmp_path: Mixture([of_noise(seed, tmp_path), of_glyphs(seed, tmp_path)], seed),
}


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES)
class TestEpisodes:
    def test_it_is_an_episodes(self, make: Make, tmp_path: Path) -> None:
        assert isinstance(make(0, tmp_path), Episodes)

    def test_episodes_have_the_promised_shape(self, make: Make, tmp_path: Path) -> None:
        episodes = make(0, tmp_path)
        for i in range(5):
            check_episode(episodes[i], episodes.spec)

    def test_images_are_floats_from_0_to_1(self, make: Make, tmp_path: Path) -> None:
        episode = make(0, tmp_path)[0]
        for batch in episode:
            assert batch.x.dtype == torch.get_default_dtype()
            assert batch.y.dtype == torch.int64
            assert 0 <= float(batch.x.min()) < float(batch.x.max()) <= 1

    def test_access_is_random_and_repeatable(self, make: Make, tmp_path: Path) -> None:
        first, second = make(3, tmp_path), make(3, tmp_path)
        forward = [first[i] for i in range(4)]
        backward = [second[i] for i in (3, 2, 1, 0)][::-1]
        for a, b in zip(forward, backward, strict=True):
            assert torch.equal(a.support.x, b.support.x)
            assert torch.equal(a.query.x, b.query.x)

    def test_index_and_seed_change_the_episode(self, make: Make, tmp_path: Path) -> None:
        a, b = make(0, tmp_path), make(1, tmp_path)
        assert not torch.equal(a[0].support.x, a[1].support.x)
        assert not torch.equal(a[0].support.x, b[0].support.x)

    def test_support_and_query_share_no_image(self, make: Make, tmp_path: Path) -> None:
        episodes = make(0, tmp_path)
        for i in range(5):
            support, query = episodes[i].support.x.flatten(1), episodes[i].query.x.flatten(1)
            assert float(torch.cdist(support, query).min()) > 0

    def test_stacks_hold_the_episodes_of_their_numbers(self, make: Make, tmp_path: Path) -> None:
        episodes, numbers = make(0, tmp_path), (1, 4, 5, 6, 9, 12)
        stacks = episodes.stacks(numbers)
        assert sorted(i for stack in stacks for i in stack.numbers) == list(numbers)
        assert episodes.spec.varied or len(stacks) == 1
        for stack in stacks:
            assert list(stack.numbers) == sorted(stack.numbers)
            for task, number in enumerate(stack.numbers):
                alone = episodes[number]
                assert stack.n_way == n_way_of(alone)
                for many, one in zip(stack.episode, alone, strict=True):
                    assert torch.equal(many.x[task], one.x)
                    assert torch.equal(many.y[task], one.y)

    def test_global_random_state_is_left_alone(self, make: Make, tmp_path: Path) -> None:
        before = torch.get_rng_state()
        make(0, tmp_path)[7]
        assert torch.equal(before, torch.get_rng_state())

    def test_a_forked_process_draws_the_same_bits(self, make: Make, tmp_path: Path) -> None:
        episodes = make(2, tmp_path)
        here, there = multiprocessing.Pipe(duplex=False)

        def draw() -> None:
            there.send([tensor.numpy().tobytes() for batch in episodes[5] for tensor in batch])

        process = multiprocessing.get_context("fork").Process(target=draw)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forking beside threads
            process.start()
        assert here.poll(60)
        assert here.recv() == [tensor.numpy().tobytes() for batch in episodes[5] for tensor in batch]
        process.join()
