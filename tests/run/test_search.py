"""The verb `search`: what it leaves, that it continues to the same bits, and what it refuses."""

import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from metanas.config.search import SearchExperiment
from metanas.config_file import load_search
from metanas.errors import ConfigError, NonFiniteError
from metanas.run.build_search import SearchBench
from metanas.run.directory import RunDirectory
from metanas.run.interrupt import Interrupted
from metanas.run.report import report
from metanas.run.search import _Search, search
from metanas.run.search_state import Searched
from metanas.run.start import start
from metanas.track.jsonl import read_rows
from tasks.errors import DataError

from .conftest import flat

Small = Callable[..., SearchExperiment]


@pytest.fixture(scope="module")
def small(searched_on: list[str]) -> Small:
    """The smallest search, by a method that draws its gates, with some overrides."""
    return lambda *overrides: load_search(
        None, [*searched_on, "search.lr_arch=0.01", "search.method=drnas", *overrides]
    )


def outcome(directory: RunDirectory) -> dict[str, object]:
    """All that two equal searches have in common."""
    state = directory.checkpoints.load("last")
    del state["seconds"]
    result = json.loads(directory.result.read_text())
    del result["seconds"]
    rows = read_rows(directory.metrics)
    for row in rows:
        assert float(row.pop("search/seconds")) > 0
    return flat(state) | {"rows": rows, "result": result}


@pytest.fixture
def signal_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Lets a real signal arrive while a step is being computed."""

    def arrange(iteration: int) -> None:
        compute = _Search.step

        def step(self: _Search, state: Searched) -> Searched:
            if state.iteration == iteration:
                monkeypatch.setattr(_Search, "step", compute)
                os.kill(os.getpid(), signal.SIGTERM)
            return compute(self, state)

        monkeypatch.setattr(_Search, "step", step)

    return arrange


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches that draw nothing: no other bit depends on pictures, and most of so small a search is spent on them."""
    monkeypatch.setattr("metanas.run.search.draw_search", lambda *arguments: {})


@pytest.fixture(scope="module")
def found(small: Small, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A finished search that no test may change."""
    directory = RunDirectory(tmp_path_factory.mktemp("searches") / "found")
    search(small(), directory, quiet=True)
    return directory


def test_a_search_leaves_what_its_directory_promises(found: RunDirectory, small: Small) -> None:
    names = {path.relative_to(found.path).as_posix() for path in found.path.rglob("*") if path.is_file()}
    assert {
        *("config.yaml", "env.json", "metrics.jsonl", "arch.json", "genotype.json", "result.json", "report.html"),
        *("checkpoint/last.pt", "cells/found.svg", "pictures/arch.png", "pictures/arch_history.png"),
    } <= names
    assert not [name for name in names if "tmp" in name]
    assert found.searched() == small()
    rows = read_rows(found.metrics)
    assert [(row["search/step"], row["search/epoch"]) for row in rows] == [(3, 1), (6, 2)]
    for row in rows:
        assert 0 <= row["search/acc"] <= 1
        assert {"search/eigenvalue", "skip_ratio/normal", "skip_ratio/reduction", "search/genotype"} <= row.keys()
    genotype = json.loads((found.path / "genotype.json").read_text())["genotype"]
    assert " ".join(map(str, genotype)) == rows[-1]["search/genotype"]
    arch = json.loads((found.path / "arch.json").read_text())
    assert [len(course) for course in arch["history"].values()] == [3, 3]
    assert {kind: course[-1] for kind, course in arch["history"].items()} == arch["cells"]
    result = json.loads(found.result.read_text())
    assert result["accuracy_supernet"] == rows[-1]["search/acc"]
    assert result["images"] == [12, 12]
    assert "collapse" in (found.path / "report.html").read_text()


def test_a_search_that_is_stopped_ends_with_the_same_bits(
    found: RunDirectory, small: Small, signal_at: Callable[[int], None], tmp_path: Path, no_pictures: None
) -> None:
    stopped = RunDirectory(tmp_path / "stopped")
    for iteration in (0, 2, 4):  # within an epoch, and at the end of one
        signal_at(iteration)
        with pytest.raises(Interrupted, match="SIGTERM"):
            search(small(), stopped, resume=iteration > 0, quiet=True)
        assert stopped.checkpoints.load("last")["iteration"] == iteration + 1
    assert "not finished yet" in report(stopped).read_text()
    search(small(), stopped, resume=True, quiet=True)
    assert outcome(stopped) == outcome(found)


def test_a_search_may_take_fewer_images_of_each_class(small: Small) -> None:
    bench = SearchBench.of(small("images.per_class=4", "images.batch=2"))
    whole = SearchBench.of(small())
    assert [len(bench.train.labels), len(bench.valid.labels)] == [6, 6]
    for name in whole.bank.classes:
        rows = {tuple(image.flatten().tolist()) for image in whole.bank.images_of(name)}
        assert len(bench.bank.images_of(name)) == 4
        assert {tuple(image.flatten().tolist()) for image in bench.bank.images_of(name)} < rows
    assert torch.equal(SearchBench.of(small("images.per_class=4", "images.batch=2")).bank.pixels, bench.bank.pixels)
    assert torch.equal(SearchBench.of(small("images.per_class=8")).bank.pixels, whole.bank.pixels)


STAGES = [
    *["space.kind=darts", "search.method=p_darts", "search.stage_cells=[3,4,5]", "search.stage_ops=[8,5,3]"],
    *["search.stage_drop=[0.0,0.4,0.7]", "search.most_skips=0", "search.epochs=1", "search.hessian_every=0"],
]


def test_a_search_in_stages_that_is_stopped_ends_with_the_same_bits(
    small: Small, signal_at: Callable[[int], None], tmp_path: Path, no_pictures: None
) -> None:
    whole, stopped = RunDirectory(tmp_path / "whole"), RunDirectory(tmp_path / "stopped")
    search(small(*STAGES), whole, quiet=True)
    state = whole.checkpoints.load("last")
    assert (state["iteration"], state["stage"]) == (9, 2)
    assert all(len(ops) == 3 for rows in state["kept"].values() for ops in rows)  # type: ignore[attr-defined]
    cells = {name.split(".")[1] for name in state["params/weights"] if name.startswith("cells.")}  # type: ignore[attr-defined]
    assert cells == set("01234")
    result = json.loads(whole.result.read_text())
    assert result["epochs"] == 3
    assert result["skip_ratios"]["normal"] == 0
    for iteration in (2, 3, 7):  # the last step of a stage, the first of the next, and one within the last
        signal_at(iteration)
        with pytest.raises(Interrupted, match="SIGTERM"):
            search(small(*STAGES), stopped, resume=iteration > 2, quiet=True)
        assert stopped.checkpoints.load("last")["stage"] == iteration // 3
    search(small(*STAGES), stopped, resume=True, quiet=True)
    assert outcome(stopped) == outcome(whole)


def test_a_stage_has_its_own_schedule(small: Small) -> None:
    experiment = small(*STAGES, "search.epochs=4", "search.warmup=2")
    first = SearchBench.of(experiment)
    second = SearchBench.of(experiment, first.next_stage(first.space.logits()))
    assert (first.steps, first.end, second.end) == (36, 12, 24)
    assert second.pace(12).lr_weights == first.pace(0).lr_weights
    assert [first.pace(i).drop for i in (0, 11)] == [0, 0]
    assert [second.pace(i).moves_arch for i in (12, 17, 18)] == [False, False, True]
    drops = [second.pace(i).drop for i in (12, 18, 21)]
    assert drops[0] == drops[1] == 0.4 > drops[2]


def test_a_crash_between_checkpoints_repeats_the_epoch(
    found: RunDirectory, small: Small, tmp_path: Path, no_pictures: None
) -> None:
    directory = RunDirectory(tmp_path / "crashed")
    shutil.copytree(found.path, directory.path)
    (directory.path / "checkpoint" / "last.pt").write_bytes(b"half")  # back to the epoch before
    search(small(), directory, resume=True, quiet=True)
    assert outcome(directory) == outcome(found)


def test_the_verb_reports_what_it_found(metanas, searched_on: list[str], tmp_path: Path) -> None:
    said = metanas("search", "--out", tmp_path / "run", *searched_on, "search.epochs=1", "images.batch=12")
    assert said.code == 0, said.err
    assert f"searched: {tmp_path / 'run'} (darts_first_order, 1 epochs of pictures" in said.out
    assert "\ncollapse: " in said.out
    assert "step 1/1" in said.err
    (tmp_path / "run" / "report.html").unlink()
    assert metanas("report", tmp_path / "run").code == 0
    assert "single-task architecture search" in (tmp_path / "run" / "report.html").read_text()
    printed = metanas("config", tmp_path / "run" / "config.yaml")
    assert printed.out == (tmp_path / "run" / "config.yaml").read_text()


REFUSED = [
    ("search.method=dart", "search.method.*'dart', expected one of .*'darts_first_order'"),
    ("search.epoch=1", "search.epoch.*Did you mean: 'epochs'"),
    ("search.epochs=0", "search.epochs must be in 1.."),
    ("search.warmup=2", "search.warmup must be in 0..1, got 2"),
    ("search.momentum=1", r"search.momentum must be in \[0, 1\), got 1"),
    ("search.penalty_end=1", "which has no penalty.*drnas and beta_darts have one"),
    ("search.temperature_end=0", "search.temperature_end must be in 0.01"),
    ("images.batch=13", "pictures/1: expected batches of 1 to 12 images, .*got 13"),
    ("images.batch=0", "images.batch must be in 1.."),
    ("data.mix=[omniglot]", r"a search has one task: data.mix and data.weights must be \[\]"),
    ("start=nowhere", "nowhere is not a run directory"),
    ("search.method=pc_darts", "pc_darts needs space.partial of at least 2, 4 in the paper, got 1"),
    ("search.method=p_darts", r"p_darts needs stages, got \[\]; in the paper search.stage_cells=\[5,11,17\]"),
    ("search.stage_cells=[3]", "must have an entry for each stage, got 1, 0, 0 entries"),
    ("search.stage_cells=[3] search.stage_ops=[8] search.stage_drop=[0]", "a search in stages needs space.kind=darts"),
    ("search.stage_cells=[3] search.stage_ops=[5] search.stage_drop=[0]", "stage_ops must begin with 8.*got .5."),
    ("search.stage_cells=[3] search.stage_ops=[8] search.stage_drop=[1]", r"stage_drop must hold numbers in \[0, 1\)"),
    ("search.most_skips=-1", "search.most_skips must be in 0..16, got -1"),
    ("space.partial=3", "space.partial must be at least 1 and divide space.width=2, got 3"),
    ("space.connected=false", "space.connected must be true for space.kind=fewshot, whose cells are never cut"),
    ("data.source=cifar10 data.channels=3 images.classes=train", "cifar10 is divided by image: images.classes must be"),
    ("space.nodes=9", "space.nodes must be in 1..8, got 9"),
    ("space.kind=conv4", "a search chooses: expected space.kind=darts or another one with choices, got conv4"),
    (
        "search.stage_cells=[3,2] search.stage_ops=[8,5] search.stage_drop=[0,0] space.kind=darts space.cells=null",
        "search.stage_cells must be in 3..64, got 2",
    ),
]


@pytest.mark.parametrize(("override", "pattern"), REFUSED, ids=[override for override, _ in REFUSED])
def test_a_mistake_is_one_line_and_leaves_nothing(
    override: str, pattern: str, metanas, searched_on: list[str], tmp_path: Path
) -> None:
    said = metanas("search", "-q", "--out", tmp_path / "run", *searched_on, *override.split())
    assert re.search(pattern, said.line), said.line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("images", "pattern"), [(1, "two halves need at least 2"), (0, "expected images")])
def test_a_class_without_two_images_is_refused(
    images: int, pattern: str, metanas, searched_on: list[str], tmp_path: Path
) -> None:
    for name, count in (("a", 4), ("b", images)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(count):
            Image.new("L", (16, 16), 20 * i + ord(name)).save(tmp_path / "data" / name / f"{i}.png")
    folder = [f"data.root={tmp_path / 'data'}", "images.batch=2"]
    said = metanas("search", "-q", "--out", tmp_path / "run", *searched_on, *folder)
    assert pattern in said.line
    assert not (tmp_path / "run").exists()


def test_a_run_is_neither_overwritten_nor_continued_as_another(
    metanas, found: RunDirectory, searched_on: list[str], done
) -> None:
    assert "holds a run already" in metanas("search", "-q", "--out", found.path, *searched_on).line
    said = metanas(
        "search", "-q", "--resume", "--out", found.path, *searched_on, "search.lr_arch=0.5", "search.method=drnas"
    )
    assert "another configuration (search.lr_arch: 0.01 -> 0.5)" in said.line
    said = metanas("search", "-q", "--resume", "--out", done.path, *searched_on)
    assert "expected a single-task search, got a meta-trained run" in said.line
    assert "expected a meta-trained run, got a single-task search" in metanas("evaluate", "-q", found.path).line


def test_a_loss_that_is_not_finite_stops_the_search(small: Small, tmp_path: Path) -> None:
    with pytest.raises(NonFiniteError, match=r"epoch 1, step 2: the loss is not finite"):
        search(small("search.lr_weights=1e39", "search.clip=0"), RunDirectory(tmp_path / "run"), quiet=True)


def test_a_search_begins_where_a_run_has_ended(small: Small, done) -> None:
    bench = SearchBench.of(small(f"start={done.path}"))
    params = start(bench)
    learned = done.directory.checkpoints.load("best")
    assert isinstance(learned["params/weights"], dict)
    for name, tensor in params.weights.items():
        if name.startswith("head."):
            assert len(tensor) == 3
        else:
            assert torch.equal(tensor, learned["params/weights"][name])
    assert all(torch.equal(table, learned["params/arch"][kind]) for kind, table in params.arch.items())  # type: ignore[index]


@pytest.mark.parametrize("override", ["space.width=4", "space.nodes=2", "data.channels=3"])
def test_a_start_of_another_space_is_refused(override: str, small: Small, done) -> None:
    with pytest.raises(
        ConfigError, match=r"start=.* is of another space: expected .* of shape \(.*\), got .*; use its"
    ):
        start(SearchBench.of(small(f"start={done.path}", override)))


def test_the_schedules_lead_from_start_to_end(small: Small) -> None:
    bench = SearchBench.of(
        small("search.epochs=5", "search.method=gdas", "search.temperature_start=10", "search.temperature_end=0.1")
    )
    assert [bench.temperature(epoch) for epoch in (0, 4)] == [10, pytest.approx(0.1)]
    assert bench.pace(0).lr_weights == 0.025
    assert 0.001 < bench.pace(bench.steps - 1).lr_weights < 0.005
    assert not SearchBench.of(small("search.warmup=1")).pace(2).moves_arch
    assert SearchBench.of(small("search.warmup=1")).pace(3).moves_arch


def on_cifar10(root: Path, *overrides: str) -> SearchBench:
    return SearchBench.of(
        load_search(
            None,
            [
                *["data.source=cifar10", f"data.root={root}", "data.channels=3", "data.resolution=16"],
                *["images.batch=10", "space.width=2", "space.nodes=1", *overrides],
            ],
        )
    )


def test_the_training_images_of_cifar10_are_halved_and_the_test_images_not_seen(made_cifar10: Path) -> None:
    bench = on_cifar10(made_cifar10)
    assert bench.bank.name == "cifar10/train"
    assert (len(bench.bank), len(bench.train.labels), len(bench.valid.labels)) == (40, 20, 20)
    fewer = on_cifar10(made_cifar10, "images.per_class=2")
    assert fewer.bank.counts.tolist() == [2] * 10
    known = {image.numpy().tobytes() for image in bench.bank.pixels}
    assert {image.numpy().tobytes() for image in fewer.bank.pixels} < known


@pytest.mark.parametrize(
    ("override", "pattern"),
    [("images.per_class=5", "expected 1 to 4 images a class"), ("images.classes=test", "images.classes must be all")],
)
def test_images_that_cifar10_has_not_are_refused(override: str, pattern: str, made_cifar10: Path) -> None:
    with pytest.raises((ConfigError, DataError), match=pattern):
        on_cifar10(made_cifar10, override)


def test_searches_stand_side_by_side(metanas, found: RunDirectory, tmp_path: Path) -> None:
    shutil.copytree(found.path, tmp_path / "other")
    assert metanas("report", tmp_path / "other", "--beside", found.path).code == 0
    page = (tmp_path / "other" / "report.html").read_text()
    assert "Accuracy against search cost" in page
    assert "found, random start" in page
    assert "meta-training before it" in page
    four = [word for _ in range(4) for word in ("--beside", found.path)]
    assert "expected at most 3 searches" in metanas("report", tmp_path / "other", *four).line
