"""Tasks of learn2learn as episodes, and episodes as its tasks."""

import random
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from metanas.meta.adapt import Inner
from metanas.meta.learner import Descent
from metanas.meta.maml import Maml
from metanas.objective import Classification
from metanas.optim import Outer
from metanas.params import MetaParams
from metanas.relax.softmax import Softmax
from metanas.spaces.fewshot import FewShot
from metanas.spaces.initial import initial_weights
from tasks import DataError, EpisodeSampler, ImageBank, TaskSpec, check_episode, stack, stream
from tasks.exchange import EpisodesTaskset, TasksetEpisodes
from tasks.exchange.taskset_episodes import Taskset
from tasks.sources.glyphs import characters, draw_classes

SPEC = TaskSpec(n_way=3, k_shot=2, n_query=3, image=(1, 2, 2))
quick = settings(max_examples=25, deadline=None, database=None)


def numbered(classes: int = 6, per_class: int = 7, scale: float = 1 / 255) -> TensorDataset:
    """Images that tell their class in the first pixel and their number in the second."""
    x = torch.zeros(classes, per_class, 1, 2, 2)
    x[..., 0, 0] = torch.arange(classes)[:, None, None]
    x[..., 0, 1] = torch.arange(per_class)[:, None]
    return TensorDataset(x.flatten(0, 1) * scale, torch.arange(classes).repeat_interleave(per_class))


def taskset(
    l2l: ModuleType,
    data: TensorDataset,
    spec: TaskSpec,
    *,
    num_tasks: int = -1,
    replacement: bool = False,
    without: str = "",
) -> Taskset:
    """learn2learn's usual tasks over `data`."""
    from learn2learn.data import transforms

    meta = l2l.data.MetaDataset(data)
    steps = {
        "ways": transforms.FusedNWaysKShots(meta, spec.n_way, spec.k_shot + spec.n_query, replacement),
        "load": transforms.LoadData(meta),
        "remap": transforms.RemapLabels(meta),
        "consecutive": transforms.ConsecutiveLabels(meta),
    }
    made: Taskset = l2l.data.Taskset(meta, [step for k, step in steps.items() if k != without], num_tasks)
    return made


def ids(x: Tensor) -> Tensor:
    """Class and number of each image of `numbered`, `[n, 2]`."""
    return x[:, 0, 0].mul(255).round().int()


@quick
@given(index=st.integers(0, 2**40), seed=st.integers(0, 2**40))
def test_a_task_becomes_an_episode(learn2learn: ModuleType, index: int, seed: int) -> None:
    episodes = TasksetEpisodes(taskset(learn2learn, numbered(), SPEC), SPEC, seed)
    episode = episodes[index]
    check_episode(episode, SPEC)
    shown, labels = ids(torch.cat([b.x for b in episode])), torch.cat([b.y for b in episode])
    assert len(torch.unique(shown, dim=0)) == len(shown)  # support and query share no image
    pairs = torch.stack([shown[:, 0], labels], 1)
    assert len(torch.unique(pairs, dim=0)) == SPEC.n_way  # a label is one class, a class one label


@quick
@given(index=st.integers(0, 2**40), seed=st.integers(0, 2**40), num_tasks=st.sampled_from([-1, 1, 5]))
def test_it_is_a_pure_function_of_seed_and_index(
    learn2learn: ModuleType, index: int, seed: int, num_tasks: int
) -> None:
    first, second = (
        TasksetEpisodes(taskset(learn2learn, numbered(), SPEC, num_tasks=num_tasks), SPEC, seed) for _ in range(2)
    )
    one = first[index]
    random.random()  # what others draw is nothing to it
    second.taskset[0]  # type: ignore[index]
    second[index + 1]
    for a, b in zip(one, second[index], strict=True):
        assert torch.equal(a.x, b.x)
        assert torch.equal(a.y, b.y)


def test_random_transforms_of_the_data_are_the_same_again(learn2learn: ModuleType) -> None:
    tasks = taskset(learn2learn, numbered(), SPEC)

    def noisy(description: list[object]) -> list[object]:
        def distort(pair: tuple[Tensor, int]) -> tuple[Tensor, int]:
            return pair[0] / 2 + torch.rand(1) / 8 + float(np.random.rand()) / 8 + random.random() / 8, pair[1]

        for image in description:
            image.transforms.append(distort)  # type: ignore[attr-defined]
        return description

    tasks.task_transforms.append(noisy)  # type: ignore[attr-defined]
    episodes = TasksetEpisodes(tasks, SPEC, 0)
    one = episodes[3]
    for draw in (torch.rand, np.random.rand):  # what others draw is nothing to it
        draw(1)
    random.random()
    assert torch.equal(episodes[3].query.x, one.query.x)
    assert len(torch.unique(episodes[3].query.x[:, 0, 1, 1])) == len(episodes[3].query.x)


def test_global_generators_stand_where_they_stood(learn2learn: ModuleType) -> None:
    episodes = TasksetEpisodes(taskset(learn2learn, numbered(), SPEC), SPEC, 0)
    short = TasksetEpisodes(episodes.taskset, TaskSpec(3, 1, 1, (1, 2, 2)), 0)
    before = random.getstate(), torch.get_rng_state(), np.random.get_state()[1].tolist()
    episodes[0]
    with pytest.raises(DataError):
        short[0]
    assert random.getstate() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert np.random.get_state()[1].tolist() == before[2]


def test_a_finite_task_set_comes_again_and_keeps_its_own_tasks(learn2learn: ModuleType) -> None:
    tasks = taskset(learn2learn, numbered(), SPEC, num_tasks=4)
    episodes = TasksetEpisodes(tasks, SPEC, 0)
    assert torch.equal(episodes[1].query.x, episodes[5].query.x)
    assert len({tuple(ids(episodes[i].support.x).flatten().tolist()) for i in range(8)}) == 4
    assert tasks.sampled_descriptions == {}  # type: ignore[attr-defined]


def test_bytes_become_floats(learn2learn: ModuleType) -> None:
    x, y = numbered(scale=1).tensors
    episode = TasksetEpisodes(taskset(learn2learn, TensorDataset(x.byte(), y), SPEC), SPEC, 0)[0]
    assert episode.support.x.dtype == torch.get_default_dtype()
    of_floats = TasksetEpisodes(taskset(learn2learn, numbered(), SPEC), SPEC, 0)[0]
    torch.testing.assert_close(episode.support.x, of_floats.support.x)


def test_what_is_no_task_of_the_spec_is_told_in_one_line(learn2learn: ModuleType) -> None:
    data = numbered()
    cases = [
        (taskset(learn2learn, data, TaskSpec(3, 2, 2, (1, 2, 2))), r"must have shape \(15, 1, 2, 2\), got \(12, 1, 2"),
        (
            taskset(learn2learn, data, SPEC, without="remap"),
            r"labels must hold each of 0..2 5 times, got \[.*; add Rem",
        ),
        (taskset(learn2learn, numbered(per_class=2), SPEC, replacement=True), "expected distinct images, .* repeated;"),
        (taskset(learn2learn, numbered(scale=1), SPEC), r"expected images in \[0, 1\], got 0 to 6; divide by 255"),
    ]
    for tasks, message in cases:
        with pytest.raises(DataError, match=message) as caught:
            TasksetEpisodes(tasks, SPEC, 1)[0]
        assert "\n" not in str(caught.value)
    with pytest.raises(IndexError, match="episodes are numbered from 0, got -1"):
        TasksetEpisodes(cases[0][0], SPEC, 0)[-1]


def of_bank(spec: TaskSpec = SPEC) -> EpisodeSampler:
    rng = stream(0, "bank")
    shape = (spec.k_shot + spec.n_query + 2, *spec.image)
    images = {f"c{i}": torch.randint(256, shape, generator=rng).byte() for i in range(spec.n_way + 2)}
    return EpisodeSampler(ImageBank.from_classes("bank", images), spec, 0)


@quick
@given(n_way=st.integers(2, 4), k_shot=st.integers(1, 3), n_query=st.integers(1, 3), index=st.integers(0, 99))
def test_learn2learn_parts_our_task_into_our_episode(
    learn2learn: ModuleType, n_way: int, k_shot: int, n_query: int, index: int
) -> None:
    episodes = of_bank(TaskSpec(n_way, k_shot, n_query, (1, 2, 2)))
    x, y = EpisodesTaskset(episodes, 100)[index]
    parts = learn2learn.data.partition_task(x, y, shots=k_shot)
    for (px, py), batch in zip(parts, episodes[index], strict=True):
        assert torch.equal(px, batch.x)
        assert torch.equal(py, batch.y)


def test_a_task_set_has_a_length_an_end_and_samples() -> None:
    tasks, again = EpisodesTaskset(of_bank(), 3, seed=1), EpisodesTaskset(of_bank(), 3, seed=1)
    assert len(tasks) == len(list(tasks)) == 3
    with pytest.raises(IndexError, match="tasks are numbered from 0 to 2, got 3"):
        tasks[3]
    drawn = [tasks.sample()[0] for _ in range(20)]
    assert all(torch.equal(x, again.sample()[0]) for x in drawn)
    numbers = [next(i for i in range(3) if torch.equal(x, tasks[i][0])) for x in drawn]
    assert set(numbers) == {0, 1, 2}
    with pytest.raises(DataError, match="a task set needs at least 1 task, got num_tasks=0; give a large number"):
        EpisodesTaskset(of_bank(), 0)


def glyph_bank() -> ImageBank:
    return draw_classes(dict(list(characters()["test"].items())[:12]), 16, 0)


GLYPHS = TaskSpec(n_way=3, k_shot=1, n_query=3, image=(1, 16, 16))


def test_learn2learns_maml_learns_from_our_episodes(learn2learn: ModuleType) -> None:
    tasks = EpisodesTaskset(EpisodeSampler(glyph_bank(), GLYPHS, 0), num_tasks=6)
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(72, GLYPHS.n_way)),
    )
    maml = learn2learn.algorithms.MAML(net, lr=0.4)
    optimiser = torch.optim.Adam(maml.parameters(), lr=0.01)
    losses = []
    for _ in range(20):
        total = torch.zeros(())
        for x, y in tasks:
            (support_x, support_y), (query_x, query_y) = learn2learn.data.partition_task(x, y, shots=GLYPHS.k_shot)
            learner = maml.clone()
            learner.adapt(nn.functional.cross_entropy(learner(support_x), support_y))
            total = total + nn.functional.cross_entropy(learner(query_x), query_y) / len(tasks)
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        losses.append(total.item())
    assert losses[-1] < 0.7 * losses[0]


def test_our_maml_learns_from_learn2learns_tasks(learn2learn: ModuleType) -> None:
    bank = glyph_bank()
    data = TensorDataset(bank.pixels / 255, torch.arange(len(bank.classes)).repeat_interleave(bank.counts))
    source = TasksetEpisodes(taskset(learn2learn, data, GLYPHS), GLYPHS, 0)
    episodes = stack([source[i] for i in range(6)])
    space = FewShot(width=4, nodes=2)
    net = space.supernet(GLYPHS)
    loss = Classification(net, Softmax())
    learner = Descent(Maml(Inner(steps=2, lr_weights=0.3)), Outer())
    state = learner.init(MetaParams(initial_weights(net, stream(0, "weights")), space.logits()))
    losses = []
    for _ in range(15):
        state, metrics = learner.step(state, [learner.gradient(loss, state.params, episodes)], 1.0)
        losses.append(metrics["meta/outer_loss"])
    assert losses[-1] < 0.8 * losses[0]
