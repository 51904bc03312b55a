"""Joint training of one classifier of all training classes, from its configuration to the network handed out."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from metanas.config import Experiment
from metanas.errors import ConfigError
from metanas.evaluate.accuracy import predictions
from metanas.recorder import flatten
from metanas.run import build, build_data
from metanas.run.adapt import adapt
from metanas.run.directory import RunDirectory
from metanas.run.evaluate import evaluate
from metanas.run.meta_train import meta_train
from metanas.run.restore import restore
from metanas.viewing import Viewing
from tasks.episode import stack
from tasks.errors import DataError

JOINT = [
    *["meta.gradient=joint", "task.labels=classes", "task.n_way=6", "meta.tasks=1", "evaluate.n_way=3"],
    *["adapt.strategy=prior", "adapt.steps=0", "adapt.child_steps=0", "adapt.classifier=cosine", "adapt.reference=12"],
]


@pytest.fixture(scope="module")
def asked(tiny: Callable[..., Experiment], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Experiment]:
    """A joint experiment on six training classes, with some overrides."""
    root, rng = tmp_path_factory.mktemp("classes"), torch.Generator().manual_seed(0)
    for split, n in (("train", 6), ("validation", 3), ("test", 3)):
        for i in range(n):
            (folder := root / split / f"{split}-{i}").mkdir(parents=True)
            for j in range(4):
                pixels = torch.randint(40 * (i + 1), (16, 16), generator=rng).byte().numpy()
                Image.fromarray(pixels).save(folder / f"{j}.png")
    return lambda *overrides: tiny("data.source=folder", f"data.root={root}", *JOINT, *overrides)


@pytest.fixture(scope="module")
def joint(asked: Callable[..., Experiment], tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A trained and evaluated run."""
    directory = RunDirectory(tmp_path_factory.mktemp("joint") / "run")
    meta_train(asked(), directory, quiet=True)
    evaluate(directory, directory.experiment(), quiet=True)
    return directory


def test_labels_are_classes_in_training_alone(asked: Callable[..., Experiment]) -> None:
    experiment = asked()
    data = build_data.dataset(experiment.data)
    train = build_data.training(experiment, [data])
    for i in range(3):
        episode = train[i]
        for batch in episode:
            for image, label in zip(batch.x, batch.y.tolist(), strict=True):
                pixels = (image * 255).round().byte()
                assert any(torch.equal(pixels, known) for known in data["train"].images_of(f"train-{label}"))
    judged = [build_data.episodes(experiment, data, "test")[i].support.x.sum((1, 2, 3)).argsort() for i in range(8)]
    assert len({tuple(order.tolist()) for order in judged}) > 1  # labelled anew in every episode


def test_smoothing_spreads_a_share_of_every_label(asked: Callable[..., Experiment]) -> None:
    logits, y = torch.randn(2, 5, 6, dtype=torch.float64), torch.arange(10).view(2, 5) % 6
    wanted = 0.7 * torch.nn.functional.one_hot(y, 6) + 0.3 / 6
    expected = -(wanted * logits.log_softmax(-1)).sum(-1).mean(-1)
    torch.testing.assert_close(build.criterion(asked("meta.smoothing=0.3"))(logits, y), expected)


@pytest.mark.parametrize("overrides", [[], ["meta.smoothing=0.3"]])
def test_a_criterion_is_the_same_in_every_step_so_that_a_step_is_recorded_once(
    overrides: list[str], asked: Callable[..., Experiment]
) -> None:
    first, second = (flatten(build.criterion(asked(*overrides)))[1] for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)


def test_no_prediction_depends_on_another_image(joint: RunDirectory) -> None:
    bench, state, *_ = restore(joint, joint.experiment())
    episodes = build_data.episodes(bench.experiment, build_data.dataset(bench.experiment.data), "test")
    episode = stack([episodes[i] for i in range(2)])
    objective, params = bench.deploy(bench.problem(state.learner.params, episode.support, 3))
    x = episode.query.x
    for transductive in (False, True):
        alone = [
            predictions(objective, params, episode.support.x, x[:, i : i + 1], transductive=transductive)
            for i in range(x.shape[1])
        ]
        together = predictions(objective, params, episode.support.x, x, transductive=transductive)
        torch.testing.assert_close(torch.cat(alone, dim=1), together, rtol=1e-3, atol=1e-5)
    result = json.loads(joint.result.read_text())
    assert (result["accuracy"], result["n_way"]) == (result["accuracy_inductive"], 3)
    assert "normalised with the statistics of 12 training images" in (joint.path / "report.html").read_text()


def test_the_reference_images_normalise(joint: RunDirectory) -> None:
    """As if they stood in front of the batch, and nothing of them is in what comes out."""
    bench, state, *_ = restore(joint, joint.experiment())
    episodes = build_data.episodes(bench.experiment, build_data.dataset(bench.experiment.data), "test")
    episode = stack([episodes[0]])
    objective, params = bench.deploy(bench.problem(state.learner.params, episode.support, 3))
    assert objective.viewing.reference is not None
    assert objective.viewing.reference.shape == (12, 1, 16, 16)
    plain = torch.cat([objective.viewing.reference[None], episode.query.x], dim=1)
    expected = replace(objective, viewing=Viewing()).logits(params, plain, rows=12)[:, 12:]
    torch.testing.assert_close(objective.logits(params, episode.query.x), expected)


def test_the_classifier_is_the_class_at_the_smallest_angle(joint: RunDirectory) -> None:
    bench, state, *_ = restore(joint, joint.experiment())
    episodes = build_data.episodes(bench.experiment, build_data.dataset(bench.experiment.data), "test")
    episode = stack([episodes[i] for i in range(3)])
    objective, params = bench.deploy(bench.problem(state.learner.params, episode.support, 3))
    support, query = (objective.features(params, batch.x) for batch in episode)
    cosines = torch.nn.functional.cosine_similarity(query[:, :, None], support[:, None], dim=-1)  # one shot
    nearest = episode.support.y.gather(1, cosines.argmax(-1))
    assert torch.equal(objective.logits(params, episode.query.x).argmax(-1), nearest)


def test_fewer_reference_images_may_be_used_but_not_more(joint: RunDirectory) -> None:
    few = restore(joint, joint.experiment(["adapt.reference=5"])).bench.viewing.reference
    all_of_them = restore(joint, joint.experiment()).bench.viewing.reference
    assert few is not None
    assert all_of_them is not None
    assert torch.equal(few, all_of_them[:5])
    assert restore(joint, joint.experiment(["adapt.reference=0"])).bench.viewing.reference is None
    with pytest.raises(ConfigError, match=r"adapt.reference=13 .* more training images than the 12 that this run"):
        restore(joint, joint.experiment(["adapt.reference=13"]))


def test_background_images_are_others_and_change_no_training(
    asked: Callable[..., Experiment], joint: RunDirectory, tmp_path: Path
) -> None:
    run = RunDirectory(tmp_path / "run")
    meta_train(asked("adapt.background=10"), run, quiet=True)
    with_them, without = (restore(each, each.experiment()) for each in (run, joint))
    viewing, plain = with_them.bench.viewing, without.bench.viewing
    assert viewing.reference is not None
    assert viewing.background is not None
    assert plain.reference is not None
    assert torch.equal(viewing.reference, plain.reference)
    assert len({image.numpy().tobytes() for image in torch.cat([viewing.reference, viewing.background])}) == 22
    for name, weight in with_them.state.learner.params.weights.items():
        assert torch.equal(weight, without.state.learner.params.weights[name])
    fewer = restore(run, run.experiment(["adapt.background=4"])).bench.viewing.background
    assert fewer is not None
    assert torch.equal(fewer, viewing.background[-4:])
    assert restore(run, run.experiment(["adapt.background=0"])).bench.viewing.background is None
    result = evaluate(run, run.experiment(["evaluate.episodes=4", "evaluate.methods=[refined_means]"]), quiet=True)
    assert (result["background"], result["accuracy"]) == (10, result["accuracy_inductive"])


def test_views_are_looked_at_in_every_row(joint: RunDirectory, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "run")
    shutil.copytree(joint.path, run.path)
    plain = json.loads(run.result.read_text())["baselines"]
    seen = evaluate(run, run.experiment(["adapt.views=[flip,crop]", "evaluate.episodes=8"]), quiet=True)["baselines"]
    assert isinstance(seen, dict)
    assert seen.keys() == plain.keys()
    assert seen["child_tuned"]["accuracy"] == seen["child_tuned"]["accuracy_inductive"]
    assert seen["child_tuned"]["macs"] == 6 * plain["child_tuned"]["macs"]  # its own, mirrored, shifted to four sides


def test_a_network_is_handed_out(joint: RunDirectory, done, tmp_path: Path) -> None:
    found = adapt(joint, joint.experiment(), done.example / "support", done.example / "query", tmp_path / "out")
    assert found.accuracy is not None
    assert len(found.classes) == 5


def test_a_resumed_run_keeps_its_reference(
    asked: Callable[..., Experiment], joint: RunDirectory, tmp_path: Path
) -> None:
    again = RunDirectory(tmp_path / "again")
    shutil.copytree(joint.path, again.path)
    meta_train(asked(), again, resume=True, quiet=True)
    first, second = (restore(run, run.experiment()).bench.viewing.reference for run in (joint, again))
    assert first is not None
    assert second is not None
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["task.n_way=7"], "7-way episodes need 7 classes"),
        (["task.n_way=5"], "an episode shows all 6 of them, got 5-way episodes; set n_way to 6"),
        (["adapt.reference=25"], "adapt.reference=25 .* want more images than the 24 of the training classes"),
        (["adapt.background=13"], "adapt.background=13 want more images than the 24 of the training classes"),
    ],
)
def test_what_the_data_cannot_give_is_refused(
    overrides: list[str], says: str, asked: Callable[..., Experiment], tmp_path: Path
) -> None:
    directory = RunDirectory(tmp_path / "run")
    with pytest.raises(DataError, match=says):
        meta_train(asked(*overrides), directory, quiet=True)
    assert not directory.exists


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["meta.gradient=maml"], "task.labels=classes .* got maml and cosine"),
        (["adapt.classifier=trained"], "task.labels=classes .* got joint and trained"),
        (["data.mix=[glyphs]"], "task.labels=classes takes the classes of one data set"),
        (["adapt.views=[turn]"], "adapt.views names views, each once, of flip, affine, crop, got 'turn'"),
        (["task.varied=true"], "task.labels=classes shows all classes in every episode"),
        (["meta.smoothing=0.1", "task.labels=drawn"], "expected task.labels=classes, got drawn; set meta.smoothing=0"),
        (["meta.smoothing=1.1"], r"meta.smoothing must be in 0.0..1.0, got 1.1"),
        (["meta.gradient=relation", "task.labels=drawn"], "expected adapt.classifier=means, got cosine"),
        (["meta.gradient=cosine_prototypes", "task.labels=drawn"], "expected adapt.classifier=means, got cosine"),
    ],
)
def test_what_does_not_fit_is_refused(overrides: list[str], says: str, asked: Callable[..., Experiment]) -> None:
    with pytest.raises(ConfigError, match=says):
        asked(*overrides)
