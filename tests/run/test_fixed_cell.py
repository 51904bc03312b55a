"""The last stage of T-NAS: the cell of one task, trained from new weights on the tasks of meta-training."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from metanas.config import Experiment
from metanas.config_file import load_experiment
from metanas.run.adapt import adapt
from metanas.run.directory import RunDirectory
from metanas.run.evaluate import evaluate
from metanas.run.meta_train import meta_train
from metanas.run.workbench import Workbench
from metanas.spaces.fewshot import FewShot
from metanas.spaces.genotype import random_genotype
from metanas.spaces.nas_bench_201 import NasBench201
from metanas.spaces.space import SearchSpace
from tasks.stream import stream

MAML_PLUS_PLUS = ["inner.steps=2", "inner.rates=layer_step", "inner.lr_arch=0"]


def test_the_cell_of_a_task_is_trained_anew_and_adapted(done, tiny: Callable[..., Experiment], tmp_path: Path) -> None:
    support = done.example / "support"
    adapt(done.directory, done.experiment, support, None, tmp_path / "task")
    genotype = json.loads((tmp_path / "task" / "genotype.json").read_text())["genotype"]
    experiment = tiny(f"space.genotype={genotype}", "meta.iterations=2", *MAML_PLUS_PLUS)
    directory = RunDirectory(tmp_path / "run")
    meta_train(experiment, directory, quiet=True)
    assert directory.checkpoints.load("last")["params/arch"] == {}
    result = evaluate(directory, experiment, quiet=True)
    assert result["architecture"] == "fixed"
    assert result["params"] == adapt(directory, experiment, support, None, tmp_path / "again").cost.params
    assert json.loads((tmp_path / "again" / "genotype.json").read_text())["space"]["genotype"] == genotype


@pytest.mark.parametrize(
    ("space", "overrides"),
    [
        (FewShot(2, 1), []),
        (NasBench201(2, 1), ["space.kind=nas_bench_201", "space.nodes=3", "space.cells=1"]),
    ],
    ids=["fewshot", "nas_bench_201"],
)
def test_the_network_is_the_child_of_the_search(
    space: SearchSpace, overrides: list[str], tiny_overrides: list[str]
) -> None:
    genotype = random_genotype(space, stream(0, "cell"))
    bench = Workbench.of(load_experiment(None, [*tiny_overrides, *overrides, f"space.genotype={list(genotype)}"]))
    child = space.child(genotype, bench.spec)
    shapes = [{name: w.shape for name, w in net.named_parameters()} for net in (bench.net, child)]
    assert shapes[0] == shapes[1]
    assert not bench.space.decisions
    assert next(bench.net.parameters()).device == torch.device("meta")
