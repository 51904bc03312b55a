import csv
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from metanas.config import Experiment
from metanas.evaluate.accuracy import accuracies, predictions
from metanas.objective import Classification
from metanas.params import MetaParams
from metanas.run import build, build_data
from metanas.run.adapt import Adapted, adapt
from metanas.run.directory import RunDirectory
from metanas.run.restore import restore
from metanas.spaces.fewshot import PRIMITIVES
from tasks.decode import Decoder
from tasks.episode import Batch, Episode, TaskSpec, stack
from tasks.sources.folder import read_folder

WRITTEN = ["cell.svg", "genotype.json", "predictions.csv", "weights.safetensors"]
IMAGE = (1, 16, 16)


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def rows_of(out: Path) -> list[dict[str, str]]:
    with (out / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def batch_of(path: Path) -> Batch:
    """The images of class folders in alphabetical order."""
    found = read_folder(path, Decoder(IMAGE))
    pixels = [image for images in found.values() for _, image in images]
    labels = [label for label, images in enumerate(found.values()) for _ in images]
    return Batch(torch.stack(pixels).float() / 255, torch.tensor(labels))


def probabilities(logits: Tensor) -> list[list[float]]:
    return torch.softmax(logits, -1).tolist()


def listed(rows: list[dict[str, str]]) -> list[list[float]]:
    return [[float(value) for key, value in row.items() if key.startswith("p(")] for row in rows]


@pytest.fixture(scope="module")
def adapted(done, tmp_path_factory: pytest.TempPathFactory) -> tuple[Adapted, Path]:
    out = tmp_path_factory.mktemp("adapted") / "out"
    example = done.example
    return adapt(done.directory, done.experiment, example / "support", example / "query", out), out


@pytest.fixture
def example(done, tmp_path: Path) -> Path:
    """An episode as folders, to be changed."""
    shutil.copytree(done.example, tmp_path / "example")
    return tmp_path / "example"


def test_four_files_are_written(done, adapted: tuple[Adapted, Path]) -> None:
    found, out = adapted
    assert names(out) == WRITTEN
    assert (out / "cell.svg").read_text().startswith("<svg")
    description = json.loads((out / "genotype.json").read_text())
    assert description["genotype"] == list(found.network.genotype)
    assert description["classes"] == list(found.classes)
    assert description["space"] == asdict(done.experiment.space)
    assert (description["params"], description["macs"]) == (found.cost.params, found.cost.macs)
    assert description["image"] == list(IMAGE)
    assert {edge["op"] for edges in description["cells"].values() for edge in edges} <= set(PRIMITIVES)


def test_every_query_image_has_a_row_whose_probabilities_sum_to_one(adapted: tuple[Adapted, Path], done) -> None:
    found, out = adapted
    rows = rows_of(out)
    assert {row["file"] for row in rows} == {str(path) for path in (done.example / "query").rglob("*.png")}
    assert len(rows) == found.predicted == 10
    for row, chances in zip(rows, listed(rows), strict=True):
        assert len(chances) == 5
        assert sum(chances) == pytest.approx(1, abs=5e-6)
        assert row["predicted"] == found.classes[chances.index(max(chances))]
        assert row["true"] == Path(row["file"]).parent.name
    right = [row["predicted"] == row["true"] for row in rows]
    assert found.accuracy == sum(right) / len(right)


def test_the_written_network_makes_the_written_predictions(adapted: tuple[Adapted, Path], done) -> None:
    """From the files alone, as somebody else would use them."""
    _, out = adapted
    description = json.loads((out / "genotype.json").read_text())
    space = build.space(done.experiment)
    net = space.child(tuple(description["genotype"]), TaskSpec(len(description["classes"]), 1, 1, IMAGE))
    weights = load_file(out / "weights.safetensors")
    assert {name: tensor.shape for name, tensor in weights.items()} == {n: p.shape for n, p in net.named_parameters()}
    assert sum(tensor.numel() for tensor in weights.values()) == description["params"]
    with safe_open(out / "weights.safetensors", "pt") as file:
        assert json.loads(file.metadata()["genotype"]) == description["genotype"]
    logits = predictions(
        Classification(net),
        MetaParams(weights, {}),
        batch_of(done.example / "support").x,
        batch_of(done.example / "query").x,
        transductive=False,
    )
    assert torch.tensor(listed(rows_of(out))) == pytest.approx(torch.tensor(probabilities(logits)), abs=2e-6)


@pytest.mark.parametrize("transductive", [True, False])
def test_adapting_is_what_the_evaluation_scores(transductive: bool, done, tmp_path: Path) -> None:
    """The same images, in the order of the folders: the same predictions, by the evaluation's own path."""
    support, query = (batch_of(done.example / part) for part in ("support", "query"))
    bench, state, *_ = restore(done.directory, done.experiment)
    episode = stack([Episode(support, query)])
    objective, params = bench.deploy(bench.problem(state.learner.params, episode.support, bench.spec.n_way))
    logits = predictions(objective, params, episode.support.x, episode.query.x, transductive=transductive)[0]
    (expected,) = accuracies(objective, params, episode, transductive=transductive)

    found = adapt(
        done.directory,
        done.experiment,
        done.example / "support",
        done.example / "query",
        tmp_path / "out",
        transductive=transductive,
    )
    rows = rows_of(tmp_path / "out")
    assert torch.tensor(listed(rows)) == pytest.approx(torch.tensor(probabilities(logits)), abs=2e-6)
    assert [found.classes.index(row["predicted"]) for row in rows] == logits.argmax(-1).tolist()
    assert found.accuracy == expected


def test_the_example_is_the_first_test_episode(done) -> None:
    episode = build_data.episodes(done.experiment, build_data.dataset(done.experiment.data), "test")[0]
    for part, batch in (("support", episode.support), ("query", episode.query)):
        written = batch_of(done.example / part).x
        assert sorted(x.flatten().tolist() for x in written) == sorted(x.flatten().tolist() for x in batch.x)


def test_an_inductive_prediction_depends_on_its_own_image_only(
    adapted: tuple[Adapted, Path], done, example: Path, tmp_path: Path
) -> None:
    for path in (example / "query").rglob("01.png"):
        path.unlink()
    adapt(done.directory, done.experiment, example / "support", example / "query", tmp_path / "out")
    kept = [row for row in rows_of(adapted[1]) if row["file"].endswith("00.png")]
    assert torch.tensor(listed(rows_of(tmp_path / "out"))) == pytest.approx(torch.tensor(listed(kept)), abs=2e-5)


def test_the_verb_says_what_was_found(done, metanas, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = metanas("adapt", done.path, "--support", done.example / "support", "--out", out, "adapt.steps=2")
    assert (said.code, said.err) == (0, "")
    assert "adapted to 5 classes in " in said.out
    assert f"written: {out} (genotype.json" in said.out
    assert "query accuracy" not in said.out
    assert [Path(row["file"]).parent.parent.name for row in rows_of(out)] == ["support"] * 5


def test_the_default_place_is_in_the_run(copied: RunDirectory, metanas, done) -> None:
    assert metanas("adapt", copied.path, "--support", done.example / "support").code == 0
    assert names(copied.path / "adapted") == WRITTEN


def test_fewer_classes_and_more_images_than_in_training(done, example: Path, tmp_path: Path) -> None:
    for part in ("support", "query"):
        for folder in sorted((example / part).iterdir())[2:]:
            shutil.rmtree(folder)
    first = sorted((example / "support").iterdir())[0]
    shutil.copy(first / "00.png", first / "again.png")
    found = adapt(done.directory, done.experiment, example / "support", example / "query", tmp_path / "out")
    assert found.classes == tuple(names(example / "support"))
    assert len(found.classes) == 2
    assert found.predicted == 4
    assert all(len(chances) == 2 for chances in listed(rows_of(tmp_path / "out")))
    weights = load_file(tmp_path / "out" / "weights.safetensors")
    assert weights["head.weight"].shape[0] == 2


def test_a_query_without_labels_is_predicted(
    adapted: tuple[Adapted, Path], done, example: Path, tmp_path: Path
) -> None:
    loose = tmp_path / "loose"
    loose.mkdir()
    for path in (example / "query").rglob("*.png"):
        shutil.copy(path, loose / f"{path.parent.name}-{path.name}")
    found = adapt(done.directory, done.experiment, example / "support", loose, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert found.accuracy is None
    assert {row["true"] for row in rows} == {""}
    labelled = {f"{row['true']}-{Path(row['file']).name}": row["predicted"] for row in rows_of(adapted[1])}
    assert {Path(row["file"]).name: row["predicted"] for row in rows} == labelled


def test_an_image_that_was_learned_from_may_be_asked_about_without_its_label(
    done, example: Path, tmp_path: Path
) -> None:
    (tmp_path / "asked").mkdir()
    shutil.copy(next((example / "support").rglob("*.png")), tmp_path / "asked" / "1.png")
    assert (
        adapt(done.directory, done.experiment, example / "support", tmp_path / "asked", tmp_path / "o").predicted == 1
    )


def test_a_query_may_hold_some_of_the_classes(done, example: Path, tmp_path: Path) -> None:
    for folder in sorted((example / "query").iterdir())[1:]:
        shutil.rmtree(folder)
    found = adapt(done.directory, done.experiment, example / "support", example / "query", tmp_path / "out")
    assert (found.predicted, len(found.classes)) == (2, 5)


def test_names_of_classes_are_only_text(done, example: Path, tmp_path: Path) -> None:
    odd = ['a,"b"', "<b>&", "ünï çødé"]
    for part in ("support", "query"):
        for folder, name in zip(sorted((example / part).iterdir()), odd, strict=False):
            folder.rename(example / part / name)
    found = adapt(done.directory, done.experiment, example / "support", example / "query", tmp_path / "out")
    assert set(odd) < set(found.classes)
    assert {row["true"] for row in rows_of(tmp_path / "out")} == set(found.classes)
    assert "<b>" not in (tmp_path / "out" / "cell.svg").read_text()


class TestRefusals:
    """Each in one line with exit code 2, and nothing written."""

    @pytest.fixture
    def refusal(self, done, metanas, tmp_path: Path) -> Callable[..., str]:
        def call(support: Path, *more: object) -> str:
            line = metanas("adapt", done.path, "--support", support, "--out", tmp_path / "out", *more).line
            assert not (tmp_path / "out").exists()
            return str(line)

        return call

    def test_more_classes_than_the_run_can_tell_apart(self, refusal: Callable[..., str], example: Path) -> None:
        shutil.copytree(next((example / "support").iterdir()), example / "support" / "another")
        line = refusal(example / "support")
        assert "has 6 classes, the run" in line
        assert "can tell 5 apart; remove classes, or meta-train with task.n_way=6" in line

    def test_a_single_class(self, refusal: Callable[..., str], example: Path) -> None:
        for folder in sorted((example / "support").iterdir())[1:]:
            shutil.rmtree(folder)
        assert "expected at least 2 class folders, got 1" in refusal(example / "support")

    @pytest.mark.parametrize("part", ["support", "query"])
    def test_an_image_that_cannot_be_read(self, part: str, refusal: Callable[..., str], example: Path) -> None:
        damaged = next((example / part).iterdir()) / "damaged.png"
        damaged.write_bytes(b"\x89PNG\r\n\x1a\n\x00")
        assert str(damaged) in refusal(example / "support", "--query", example / "query")

    def test_a_query_of_an_unknown_class(self, refusal: Callable[..., str], example: Path) -> None:
        next((example / "query").iterdir()).rename(example / "query" / "stranger")
        line = refusal(example / "support", "--query", example / "query")
        assert "holds the class 'stranger', which the support set lacks" in line

    def test_a_query_of_images_that_are_learned_from(self, refusal: Callable[..., str], example: Path) -> None:
        learned = next((example / "support").rglob("*.png"))
        judged = example / "query" / learned.parent.name / "copy.png"
        shutil.copy(learned, judged)
        line = refusal(example / "support", "--query", example / "query")
        assert "query: expected images that the support set lacks, got 1 that it holds: " in line
        assert f"{judged} shows what {learned} does; remove them, or give the query images without class" in line

    def test_folders_that_are_not_there(self, refusal: Callable[..., str], example: Path) -> None:
        assert "nothing there" in refusal(example / "missing")
        assert "nothing there" in refusal(example / "support", "--query", example / "missing")

    def test_an_empty_query(self, refusal: Callable[..., str], example: Path, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        assert "expected images" in refusal(example / "support", "--query", tmp_path / "empty")

    def test_overrides_of_what_was_trained(self, refusal: Callable[..., str], example: Path) -> None:
        assert "cannot change after meta-training" in refusal(example / "support", "task.n_way=3")

    def test_pictures_with_more_channels_than_the_run(self, refusal: Callable[..., str], example: Path) -> None:
        line = refusal(example / "support", "data.source=folder", "data.channels=3")
        assert "of another network than the configuration" in line

    def test_a_place_that_cannot_be_written(self, done, metanas, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        support = done.example / "support"
        line = metanas("adapt", done.path, "--support", support, "--out", tmp_path / "file" / "out").line
        assert "cannot be written: Not a directory; choose another --out" in line

    def test_a_file_that_cannot_be_replaced(self, done, metanas, tmp_path: Path) -> None:
        (tmp_path / "out" / "predictions.csv").mkdir(parents=True)
        support = done.example / "support"
        line = metanas("adapt", done.path, "--support", support, "--out", tmp_path / "out").line
        assert "out cannot be written: Is a directory" in line


def test_colour_and_size_of_the_files_do_not_matter(
    adapted: tuple[Adapted, Path], done, example: Path, tmp_path: Path
) -> None:
    for path in (example / "support").rglob("*.png"):
        picture = Image.open(path).convert("RGB").resize((64, 64), Image.Resampling.NEAREST)
        path.unlink()
        picture.save(path.with_suffix(".bmp"))
    found = adapt(done.directory, done.experiment, example / "support", example / "query", tmp_path / "out")
    assert found.network.genotype == adapted[0].network.genotype
    assert torch.tensor(listed(rows_of(tmp_path / "out"))) == pytest.approx(
        torch.tensor(listed(rows_of(adapted[1]))), abs=1e-3
    )


def test_a_run_with_soft_gates_adapts_as_well(tiny: Callable[..., Experiment], done, tmp_path: Path) -> None:
    from metanas.run.meta_train import meta_train

    soft = tiny("relax.kind=gumbel_softmax", "relax.temperature_end=0.1", "meta.iterations=1", "meta.validate_every=0")
    directory = RunDirectory(tmp_path / "run")
    meta_train(soft, directory, quiet=True)
    found = adapt(directory, soft, done.example / "support", done.example / "query", tmp_path / "out")
    assert found.predicted == 10


def test_files_of_an_earlier_task_that_this_one_has_not_are_removed(done, metanas, tmp_path: Path) -> None:
    """A uniform supernet has chosen no cell."""
    words = ["adapt", done.path, "--support", done.example / "support", "--out", tmp_path]
    assert "cell.svg" in metanas(*words).out
    said = metanas(*words, "adapt.strategy=uniform", "adapt.deploy=supernet").out
    assert names(tmp_path) == sorted(set(WRITTEN) - {"cell.svg"})
    assert "(genotype.json, weights.safetensors, predictions.csv)" in said


def test_names_of_files_need_not_be_text(done, example: Path, tmp_path: Path) -> None:
    """As in old archives: the bytes of Latin-1."""
    image = next((example / "query").rglob("*.png"))
    name = os.fsencode(image.parent) + b"/caf\xe9.png"
    os.rename(os.fsencode(image), name)
    os.rename(image.parent, os.fsencode(example / "query") + b"/\xe9")
    os.rename(example / "support" / image.parent.name, os.fsencode(example / "support") + b"/\xe9")
    adapt(done.directory, done.experiment, example / "support", example / "query", tmp_path / "out")
    table = (tmp_path / "out" / "predictions.csv").read_bytes()
    assert b"/\xe9/caf\xe9.png" in table
    assert names(tmp_path / "out") == WRITTEN


def test_files_that_cannot_be_read_are_left_out_where_that_is_asked_for(
    done, example: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (next((example / "support").iterdir()) / "damaged.png").write_bytes(b"no image")
    experiment = done.directory.experiment(["data.skip_corrupt=true"])
    found = adapt(done.directory, experiment, example / "support", example / "query", tmp_path / "out")
    assert found.accuracy is not None
    assert "left out 1 file that cannot be read" in caplog.text


def test_the_supernet_is_handed_out_where_the_configuration_says_so(done, tmp_path: Path) -> None:
    experiment = done.directory.experiment(["adapt.deploy=supernet"])
    found = adapt(done.directory, experiment, done.example / "support", done.example / "query", tmp_path / "out")
    description = json.loads((tmp_path / "out" / "genotype.json").read_text())
    assert description["deployed"] == "supernet"
    weights = load_file(tmp_path / "out" / "weights.safetensors")
    assert {"arch.normal", "arch.reduction"} <= set(weights)
    assert sum(t.numel() for name, t in weights.items() if not name.startswith("arch.")) == found.cost.params
