"""The verb `retrain`: what it leaves, that it continues to the same bits, whose cells it takes, and what it refuses."""

import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from metanas.config.retrain import RetrainExperiment
from metanas.config_file import load_retrain, load_search
from metanas.errors import CheckpointError, GenotypeError, NonFiniteError, RunError
from metanas.networks.drop_path import DropPath
from metanas.networks.training import sgd, step
from metanas.run import build
from metanas.run.build_retrain import RetrainBench
from metanas.run.directory import RunDirectory
from metanas.run.given_cells import given_cells
from metanas.run.interrupt import Interrupted
from metanas.run.origin import origin
from metanas.run.report import report
from metanas.run.retrain import _Retraining, retrain, scored
from metanas.run.retrain_state import Retrained, begin, from_plain, to_plain
from metanas.run.search import search
from metanas.spaces.cell_genotype import as_cells
from metanas.spaces.darts import Darts
from metanas.spaces.genotype_text import write_genotype
from metanas.spaces.zoo import ZOO, published
from metanas.track.jsonl import read_rows
from tasks.episode import Batch
from tasks.stream import stream

from .conftest import flat

Small = Callable[..., RetrainExperiment]


@pytest.fixture(scope="module")
def small(retrained_on: list[str]) -> Small:
    """Two epochs of two steps with dropped edges and an auxiliary head, with some overrides."""
    more = ["retrain.epochs=2", "network.drop_path=0.5", "network.auxiliary=0.4"]
    return lambda *overrides: load_retrain(None, [*retrained_on, *more, *overrides])


@pytest.fixture(scope="module")
def trained(small: Small, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A finished training that no test may change."""
    directory = RunDirectory(tmp_path_factory.mktemp("trainings") / "trained")
    retrain("DARTS_V2", small(), directory, quiet=True)
    return directory


def outcome(directory: RunDirectory) -> dict[str, object]:
    """All that two equal trainings have in common."""
    state, result = directory.checkpoints.load("last"), json.loads(directory.result.read_text())
    del state["seconds"], result["seconds"]
    return flat(state) | {"rows": read_rows(directory.metrics), "result": result}


def bench_of(experiment: RetrainExperiment, given: str = "darts_v2") -> RetrainBench:
    from dataclasses import replace

    return RetrainBench.of(replace(experiment, genotype=write_genotype(given_cells(given, experiment.seed))))


def test_a_training_leaves_what_its_directory_promises(trained: RunDirectory) -> None:
    names = {path.relative_to(trained.path).as_posix() for path in trained.path.rglob("*") if path.is_file()}
    assert {
        *("config.yaml", "env.json", "metrics.jsonl", "result.json", "report.html"),
        *("checkpoint/last.pt", "cells/trained.svg"),
    } <= names
    assert not [name for name in names if "tmp" in name]
    rows = read_rows(trained.metrics)
    assert [(row["retrain/step"], row["retrain/epoch"]) for row in rows] == [(2, 1), (4, 2)]
    assert [row["retrain/drop_path"] for row in rows] == [0, 0.25]
    assert rows[0]["retrain/lr"] == 0.025 > float(rows[1]["retrain/lr"]) > 0
    result = json.loads(trained.result.read_text())
    assert result["images"] == [20, 20]
    assert result["test_error"] == 1 - result["test_accuracy"]
    assert result["test_error"] * 20 == pytest.approx(round(result["test_error"] * 20))
    assert result["genotype"] == write_genotype(published("darts_v2"))
    page = (trained.path / "report.html").read_text()
    assert "DARTS_V2" in page
    assert "20 test images of cifar10" in page


def test_a_training_that_is_stopped_ends_with_the_same_bits(
    trained: RunDirectory, small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped, compute = RunDirectory(tmp_path / "stopped"), _Retraining.step
    for iteration in (0, 1, 2):  # within an epoch, and at the end of one

        def signalled(self: _Retraining, state: Retrained, at: int = iteration) -> Retrained:
            if state.iteration == at:
                os.kill(os.getpid(), signal.SIGTERM)
            return compute(self, state)

        monkeypatch.setattr(_Retraining, "step", signalled)
        with pytest.raises(Interrupted, match="SIGTERM"):
            retrain("darts_v2", small(), stopped, resume=iteration > 0, quiet=True)
        assert stopped.checkpoints.load("last")["iteration"] == iteration + 1
    monkeypatch.undo()
    assert "not finished yet" in report(stopped).read_text()
    retrain(str(stopped.path), small(), stopped, resume=True, quiet=True)
    assert outcome(stopped) == outcome(trained)
    assert json.loads((stopped.path / "env.json").read_text())["given"] == "darts_v2"  # as it began


def test_a_checkpoint_holds_running_statistics_and_momentum(small: Small) -> None:
    bench = bench_of(small())
    training = _Retraining(bench, RunDirectory(Path("unused")), {})
    state = training.step(begin(bench))
    again = from_plain(to_plain(state, bench.experiment), bench)
    assert flat(to_plain(again, bench.experiment)) == flat(to_plain(state, bench.experiment))
    mean = state.net.state_dict()["stem.norm.running_mean"]
    assert float(mean.abs().max()) > 0
    assert flat(to_plain(training.step(again), bench.experiment)) == flat(
        to_plain(training.step(state), bench.experiment)
    )


def test_a_checkpoint_of_another_network_is_refused(trained: RunDirectory, small: Small) -> None:
    with pytest.raises(CheckpointError, match="not one of this training from scratch"):
        from_plain(trained.checkpoints.load("last"), bench_of(small("network.width=4")))


def test_a_training_learns_what_can_be_learned(small: Small) -> None:
    """Each class has a colour of its own."""
    bench = bench_of(small("network.drop_path=0", "network.width=4", "network.auxiliary=0"))
    net = bench.network()
    optimiser = sgd(net, momentum=0.9, decay=3e-4)
    x = torch.rand(20, 3, 16, 16, generator=stream(0, "x")) + torch.eye(3)[torch.arange(20) % 3][:, :, None, None]
    batch = Batch(x, torch.arange(20) % 3)
    dropped = DropPath(0.0, stream(0, "drop"))
    for _ in range(30):
        seen = step(net, optimiser, batch, lr=0.05, drop_path=dropped, auxiliary=0.0, clip=5.0)
    assert seen.accuracy == 1.0
    for module in net.modules():  # the statistics of this batch alone, as after a longer training
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
            module.reset_running_stats()
    net.train()(x)
    assert scored(net, iter([batch]), None) > 0.9


def test_a_step_is_that_of_the_published_recipe(small: Small, float64: None) -> None:
    """The gradient is clipped, then decayed, and moves with torch's momentum."""
    bench = bench_of(small("network.auxiliary=0"))
    net = bench.network().double()
    optimiser = sgd(net, momentum=0.9, decay=0.1)
    batch = Batch(torch.rand(8, 3, 32, 32, generator=stream(0, "x")), torch.arange(8))
    before = {name: weight.detach().clone() for name, weight in net.named_parameters()}
    net.train()
    gradient = torch.autograd.grad(net(batch.x).loss(batch.y), list(net.parameters()))
    norm = torch.sqrt(sum((g.square().sum() for g in gradient), torch.zeros(())))
    step(net, optimiser, batch, lr=0.5, drop_path=DropPath(0.0, stream(0, "d")), auxiliary=0.0, clip=0.01)
    for (name, weight), g in zip(net.named_parameters(), gradient, strict=True):
        wanted = before[name] - 0.5 * (g * 0.01 / (norm + 1e-6) + 0.1 * before[name])
        torch.testing.assert_close(weight.detach(), wanted)


def test_sixteen_bits_change_the_work_and_not_the_weights(small: Small) -> None:
    bench = bench_of(small("network.auxiliary=0"))
    batch = bench.train.batch(0, 0)
    losses = []
    for autocast in (None, torch.bfloat16):
        net = bench.network()
        seen = step(
            net,
            sgd(net, momentum=0.9, decay=0.0),
            batch,
            lr=0.025,
            drop_path=bench.drop_path(0),
            auxiliary=0.0,
            clip=5.0,
            autocast=autocast,
        )
        assert {weight.dtype for weight in net.parameters()} == {torch.float32}
        losses.append(seen.loss)
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)


class TestGivenCells:
    def test_a_name_of_the_zoo_in_either_case(self) -> None:
        for name in ZOO:
            assert given_cells(name.upper(), 0) == given_cells(name, 0) == published(name)

    def test_a_text_and_a_file_of_it(self, tmp_path: Path) -> None:
        text = ZOO["nasnet_a"].text
        (tmp_path / "cell.txt").write_text(f"NASNet = {text}\n")
        assert given_cells(text, 0) == given_cells(str(tmp_path / "cell.txt"), 0) == published("nasnet_a")

    def test_a_search_and_its_file(self, found: Path) -> None:
        space = build.space(RunDirectory(found).searched())
        result = json.loads((found / "result.json").read_text())
        cells = given_cells(str(found), 0)
        assert cells == given_cells(str(found / "genotype.json"), 0)
        assert [graph.edges for graph in cells] == list(space.cells(tuple(result["genotype"])).values())  # type: ignore[attr-defined]

    def test_a_training_from_scratch(self, trained: RunDirectory) -> None:
        assert given_cells(str(trained.path), 5) == published("darts_v2")

    def test_random_cells_differ_from_seed_to_seed_alone(self) -> None:
        assert given_cells("random", 3) == given_cells("random", 3) != given_cells("random", 4)
        space = Darts()
        assert as_cells(space, tuple(0 for _ in space.decisions))[0].concat == given_cells("random", 3).normal.concat

    def test_random_cells_of_the_space_of_a_search(self, found: Path, done, tmp_path: Path) -> None:
        drawn = [given_cells(f"random:{found}", seed) for seed in range(5)]
        assert {graph.concat for cells in drawn for graph in cells} == {(2,)}  # its cells have one node
        assert len({write_genotype(cells) for cells in drawn}) > 1
        assert origin(f"random:{found}") == {"kind": "random", "name": "random"}
        with pytest.raises(RunError, match="nowhere is not a run directory"):
            given_cells("random:nowhere", 0)
        with pytest.raises(RunError, match="expected a single-task search, got a meta-trained run"):
            given_cells(f"random:{done.path}", 0)
        other = RunDirectory(tmp_path / "other")
        with other.begun(load_search(None, ["space.kind=nas_bench_201", "space.nodes=3"]), resume=False):
            pass
        with pytest.raises(GenotypeError, match=r"random:.*other: expected a search of normal and reduction cells"):
            given_cells(f"random:{other.path}", 0)


GOOD = write_genotype(published("darts_v2"))
BAD_CELLS = [
    (GOOD.replace("sep_conv_3x3", "sep_conv_9x9", 1), r"normal\[0\]: expected an operation out of .*'sep_conv_9x9'"),
    (GOOD.replace("('sep_conv_3x3', 0), ", "", 1), "normal: expected two edges for every node, got 7 edges"),
    (GOOD.replace("('sep_conv_3x3', 0)", "('sep_conv_3x3', 2)", 1), r"normal\[0\]: .* must come from a state in 0..1"),
    ("darts_v3", "expected the directory of a search, .*darts_v2.*got 'darts_v3'"),
    ("Genotype(normal=", "cannot read"),
]


@pytest.mark.parametrize(("given", "pattern"), BAD_CELLS)
@pytest.mark.parametrize("as_file", [False, True])
def test_wrong_cells_are_one_line_and_leave_nothing(
    given: str, pattern: str, as_file: bool, metanas, retrained_on: list[str], tmp_path: Path
) -> None:
    if as_file and "Genotype(" in given:
        (tmp_path / "cells.txt").write_text(given)
        given = str(tmp_path / "cells.txt")
    said = metanas("retrain", given, "-q", "--out", tmp_path / "run", *retrained_on)
    assert re.search(pattern, said.line), said.line
    assert not (tmp_path / "run").exists()


def edges(**changes: object) -> list[dict[str, object]]:
    pairs = [{"source": source, "target": 2, "op": "skip_connect"} for source in (0, 1)]
    return [{**pairs[0], **changes}, pairs[1]]


@pytest.mark.parametrize(
    ("cells", "pattern"),
    [
        ({"normal": edges(op="conv_9x9"), "reduction": edges()}, r"normal\[0\]: expected an operation out of"),
        ({"normal": edges(), "reduction": edges(source=2)}, r"reduce\[0\]: an edge into node 2 must come from"),
        ({"normal": edges()[:1], "reduction": edges()}, "normal: expected two edges for every node, got 1 edges"),
        ({"normal": edges()}, "reduction"),
        ({"normal": edges(source="0"), "reduction": edges()}, "a state is a whole number"),
        ([], "expected the text Genotype"),
    ],
)
def test_a_damaged_genotype_of_a_search_is_refused(
    cells: object, pattern: str, metanas, retrained_on: list[str], tmp_path: Path
) -> None:
    (tmp_path / "genotype.json").write_text(json.dumps({"genotype": [0], "cells": cells}))
    said = metanas("retrain", tmp_path / "genotype.json", "-q", "--out", tmp_path / "run", *retrained_on)
    assert re.search(pattern, said.line), said.line
    assert not (tmp_path / "run").exists()


REFUSED = [
    ("retrain.epoch=1", "retrain.epoch.*Did you mean: 'epochs'"),
    ("retrain.precision=bfloat16", "needs a GPU that has it, got device=cpu"),
    ("network.width=3", "network.width must be even"),
    ("network.cells=2", "network.cells must be in 3..64"),
    ("network.drop_path=1", r"network.drop_path must be in \[0, 1\)"),
    ("images.per_class=5", "cifar10/train: expected 1 to 4 images a class, .*got 5"),
    ("images.cutout=64", "images.cutout must leave something of images of 32 pixels"),
    ("images.batch=21", "expected batches of 1 to 20 images"),
    ("data.resolution=16", "the auxiliary head needs maps"),
    ("data.source=glyphs", "data.source must be divided by image, one of cifar10, svhn, got glyphs"),
    ("data.rotations=true", "data.rotations must be false"),
    ("data.drop_duplicates=true", "data.drop_duplicates must be false"),
]


@pytest.mark.parametrize(("override", "pattern"), REFUSED, ids=[override for override, _ in REFUSED])
def test_a_mistake_is_one_line_and_leaves_nothing(
    override: str, pattern: str, metanas, retrained_on: list[str], tmp_path: Path
) -> None:
    said = metanas("retrain", "darts_v2", "-q", "--out", tmp_path / "run", *retrained_on, override)
    assert re.search(pattern, said.line), said.line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("verb", [["search"], ["retrain", "darts_v2"]])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "missing"])
def test_a_damaged_cifar10_is_named_and_leaves_nothing(
    verb: list[str], damage: str, metanas, made_cifar10: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METANAS_CACHE", str(tmp_path / "cache"))
    shutil.copytree(made_cifar10, tmp_path / "data")
    file = tmp_path / "data" / "cifar-10-batches-py" / "data_batch_1"
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(content[:-100] if damage == "truncated" else bytes([content[0] ^ 1]) + content[1:])
    overrides = [f"data.root={tmp_path / 'data'}", "data.source=cifar10", "data.channels=3", "data.resolution=32"]
    said = metanas(*verb, "-q", "--out", tmp_path / "run", *overrides)
    assert re.search("expected .*data_batch_1 with md5 .*, got ", said.line), said.line
    assert not (tmp_path / "run").exists()
    assert not list(tmp_path.glob("cache/*"))


def test_seeds_repeat_a_training_and_say_its_spread(metanas, retrained_on: list[str], tmp_path: Path) -> None:
    out = tmp_path / "runs"
    words = ["retrain", "random", "-q", "--seeds", "2", "--out", out, *retrained_on, "network.auxiliary=0"]
    said = metanas(*words)
    assert said.code == 0, said.err
    spread = json.loads((out / "spread.json").read_text())
    results = [json.loads((out / f"seed-{seed}" / "result.json").read_text()) for seed in (0, 1)]
    errors = [result["test_error"] for result in results]
    assert results[0]["genotype"] != results[1]["genotype"]
    assert spread["test_errors"] == errors
    assert spread["test_error"] == pytest.approx(sum(errors) / 2)
    assert spread["deviation"] == pytest.approx(abs(errors[0] - errors[1]) / 2**0.5)
    assert said.out.startswith("seed 0: test error ")
    page = (out / "report.html").read_text()
    assert "mean and standard deviation over 2 seeds. Cells: random." in page
    (out / "report.html").unlink()
    assert metanas("report", out).code == 0
    assert (out / "report.html").read_text() == page
    shutil.copytree(out / "seed-1", out / "seed-7")  # of another call
    assert metanas("report", out).code == 0
    assert (out / "report.html").read_text() == page
    shutil.rmtree(out / "seed-0")
    assert "seed-1 holds a run already" in metanas(*words).line  # before seed 0 is trained
    assert not (out / "seed-0").exists()
    assert "holds a run of one seed" in metanas(*words[:5], "--out", out / "seed-7", *retrained_on).line
    shutil.rmtree(out / "seed-1")
    assert metanas(*words, "--resume").code == 0
    again = json.loads((out / "spread.json").read_text())
    assert again["test_errors"] == errors


class TestOrigin:
    """What a training says of where its cells come from."""

    def test_names_and_texts(self, tmp_path: Path) -> None:
        assert origin("random") == {"kind": "random", "name": "random"}
        assert origin("DARTS_V2") == {"kind": "published", "name": "darts_v2"}
        assert origin(GOOD)["kind"] == "text"
        (tmp_path / "cells.txt").write_text(GOOD)
        assert origin(str(tmp_path / "cells.txt")) == {"kind": "text", "name": "cells.txt"}

    def test_a_search_with_what_it_cost(self, found: Path, trained: RunDirectory) -> None:
        result = json.loads((found / "result.json").read_text())
        record = origin(str(found))
        assert record == origin(str(found / "genotype.json"))
        assert (record["kind"], record["name"], record["start"]) == ("search", "found", None)
        assert record["seconds"] == result["seconds"] > 0
        assert record["dataset"] == result["dataset"] == "pictures"

    def test_a_training_hands_its_own_on(self, trained: RunDirectory) -> None:
        assert origin(str(trained.path)) == {"kind": "published", "name": "darts_v2"}
        assert json.loads(trained.result.read_text())["origin"] == origin("darts_v2")

    def test_a_damaged_search_is_refused(self, found: Path, tmp_path: Path) -> None:
        shutil.copytree(found, tmp_path / "found")
        (tmp_path / "found" / "result.json").write_text("{")
        with pytest.raises(RunError, match="expected JSON in .*result.json"):
            origin(str(tmp_path / "found"))


@pytest.fixture(scope="module")
def found(searched_on: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished search on another data set than the trainings'."""
    path = tmp_path_factory.mktemp("searches") / "found"
    search(load_search(None, [*searched_on, "search.epochs=1"]), RunDirectory(path), quiet=True)
    return path


def test_trainings_stand_side_by_side(
    metanas, found: Path, trained: RunDirectory, retrained_on: list[str], tmp_path: Path
) -> None:
    shutil.copytree(trained.path, tmp_path / "published")
    more = [*retrained_on, "network.auxiliary=0"]
    assert metanas("retrain", found, "-q", "--out", tmp_path / "other", *more).code == 0
    assert metanas("retrain", "random", "-q", "--seeds", "2", "--out", tmp_path / "random", *more).code == 0
    own = json.loads((tmp_path / "other" / "result.json").read_text())
    own["origin"] |= {"dataset": "cifar10/train", "seconds": 83.0, "start": "runs/meta", "start_seconds": 61.0}
    shutil.copytree(tmp_path / "other", tmp_path / "own")
    (tmp_path / "own" / "result.json").write_text(json.dumps(own))
    beside = [word for name in ("other", "random", "own") for word in ("--beside", tmp_path / name)]
    assert metanas("report", tmp_path / "published", *beside).code == 0
    page = (tmp_path / "published" / "report.html").read_text()
    assert "Test accuracy against search cost" in page
    table = [re.findall("<td>(.*?)</td>", row) for row in re.findall("<tr>(.*?)</tr>", page)]
    rows = {row[0]: row[1:5] for row in table if len(row) == 8}
    assert rows == {
        "published": ["published, darts_v2", "none", "none", "1"],
        "other": ["copied, found on pictures from a random start", "none", "none", "1"],
        "random": ["random", "none", "none", "2"],
        "own": ["found on cifar10/train from a meta-learned start", "1 min 23 s", "1 min 1 s", "1"],
    }
    assert metanas("report", tmp_path / "random", *beside[:2]).code == 0
    assert "Test accuracy against search cost" in (tmp_path / "random" / "report.html").read_text()
    assert "expected a finished training from scratch" in metanas("report", trained.path, "--beside", found).line
    assert "expected a finished training" in metanas("report", trained.path, "--beside", tmp_path).line
    many = [word for _ in range(16) for word in ("--beside", trained.path)]
    assert "expected at most 16 trainings" in metanas("report", trained.path, *many).line


def test_a_training_is_neither_overwritten_nor_continued_as_another(
    metanas, trained: RunDirectory, retrained_on: list[str]
) -> None:
    more = ["retrain.epochs=2", "network.drop_path=0.5", "network.auxiliary=0.4"]
    words = ["-q", "--out", trained.path, *retrained_on, *more]
    assert "holds a run already" in metanas("retrain", "darts_v2", *words).line
    assert "another configuration (genotype: " in metanas("retrain", "pdarts", "--resume", *words).line
    assert "expected a meta-trained run, got a training from scratch" in metanas("evaluate", "-q", trained.path).line


def test_a_loss_that_is_not_finite_stops_the_training(small: Small, tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError, match=r"epoch 1, step 2: the loss is not finite"):
        retrain("darts_v2", small("retrain.lr=1e38", "retrain.clip=0"), RunDirectory(tmp_path / "run"), quiet=True)
