"""Learners, spaces and gates that cannot work together are refused by name, when their configuration is read."""

from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from metanas.config import Space
from metanas.config_file import load_experiment
from metanas.errors import ConfigError
from metanas.run import build
from metanas.run.workbench import Workbench

STEPLESS = ["adapt.steps=0", "adapt.child_steps=0", "adapt.classifier=means"]
NAS_BENCH = ["space.kind=nas_bench_201", "space.nodes=3", "space.cells=1"]
VARIATIONAL = ["meta.gradient=variational", "inner.kl_arch=1"]
GUMBEL = ["relax.kind=gumbel_softmax", "relax.temperature_end=0.1"]
PAIRS = [
    (["relax.kind=soft_pruning", "relax.temperature_end=0.1", *NAS_BENCH], "relax.kind=soft_pruning leaves every node"),
    (["adapt.background=4", "adapt.reference=4"], "expected adapt.classifier=cosine and adapt.reference above 0"),
    (["adapt.background=4", "adapt.classifier=cosine"], "got cosine and 0"),
    (["meta.gradient=prototypes"], "meta.gradient=prototypes takes no support steps"),
    (["space.kind=conv4", "adapt.strategy=prior"], "space.kind=conv4 has nothing to decide"),
    (["space.kind=resnet8", "adapt.deploy=supernet"], "space.kind=resnet8 has nothing to decide"),
    (["inner.optimiser=adam"], "inner.optimiser=adam cannot be differentiated through"),
    (["meta.gradient=reptile", "inner.rates=layer"], "got meta.gradient=reptile; take inner.rates=fixed"),
    (["meta.gradient=reptile", "inner.steps=0"], "expected inner.steps of at least 1, got 0"),
    (["meta.gradient=reptile", "inner.moves=head"], "expected inner.moves=all and inner.lr_weights above 0, got head"),
    (["meta.gradient=reptile", "inner.lr_weights=0"], "expected inner.moves=all and inner.lr_weights above 0, got all"),
    (["meta.gradient=reptile", "inner.lr_arch=0"], "or set outer.lr_arch=0 where the drawn logits are to stay"),
    (["meta.gradient=reptile", "inner.arch_steps=0"], "inner.lr_arch and inner.arch_steps above 0, got 1.0 and 0"),
    (["meta.gradient=reptile", "meta.minibatches=2"], "meta.minibatches=2 parts are more than inner.steps=1"),
    (["adapt.samples=2"], "adapt.samples=2 draws of gates that are not drawn are all the same"),
    (["meta.minibatches=2"], "meta.minibatches=2 is for meta.gradient=reptile, got maml; set it to 1"),
    (["meta.gradient=reptile", "meta.minibatches=9"], "meta.minibatches=9 parts are more than the "),
    (["meta.gradient=imaml"], "meta.gradient=imaml needs inner.proximal_weights above 0"),
    (
        ["meta.gradient=imaml", "inner.proximal_weights=1", "inner.proximal_arch=1", "inner.kl_arch=1"],
        "inner.kl_arch=0",
    ),
    (["meta.gradient=variational", *GUMBEL], "meta.gradient=variational needs inner.kl_arch above 0"),
    ([*VARIATIONAL, *GUMBEL, "space.kind=conv4"], "a space with something to decide, got space.kind=conv4"),
    ([*VARIATIONAL, *GUMBEL, "space.genotype=[0,0,0]"], "something to decide, got space.genotype=[0, 0, 0]"),
    ([*VARIATIONAL, "relax.temperature_end=0"], "gates that are drawn: expected relax.kind=gumbel_softmax"),
    ([*VARIATIONAL, "relax.kind=softmax", "relax.temperature_end=1"], "gates that are drawn"),
]
"""Known from the keys alone."""


@pytest.mark.parametrize(
    ("keys", "says"), PAIRS, ids=[" ".join(keys[:2]) + f" {i}" for i, (keys, _) in enumerate(PAIRS)]
)
def test_a_pair_that_cannot_work_is_refused_when_it_is_read(
    keys: list[str], says: str, metanas, tiny_overrides: list[str]
) -> None:
    assert says in metanas("config", *tiny_overrides, *keys).line


def test_a_module_that_is_too_large_for_the_maps_is_refused(metanas, tiny_overrides: list[str], tmp_path: Path) -> None:
    line = metanas("meta-train", "--out", tmp_path / "run", *tiny_overrides, "meta.gradient=relation", *STEPLESS).line
    assert "the relation module needs feature maps of at least 4x4, got 2x2" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["relax.threshold", "adapt.threshold"])
@pytest.mark.parametrize(("space", "least"), [("fewshot", 0.2), ("metanas", 0.15)])
def test_a_threshold_that_prunes_all_there_is_is_refused(
    key: str, space: str, least: float, metanas, tiny_overrides: list[str], tmp_path: Path
) -> None:
    """Seven equal options have gates of 0.14 each."""
    soft = [f"space.kind={space}", "relax.kind=soft_pruning", "relax.temperature_end=0.1", "meta.iterations=1"]
    out = tmp_path / "run"
    line = metanas("meta-train", "--out", out, *tiny_overrides, *soft, f"{key}={least}").line
    assert f"{key}={least} prunes every option that an edge or a node has" in line
    assert not out.exists()
    said = metanas("meta-train", "-q", "--out", out, *tiny_overrides, *soft, f"{key}={least - 0.1}")
    assert said.code == 0, said.err


def test_a_threshold_that_prunes_all_inputs_of_a_node_is_refused() -> None:
    """0.05 is MetaNAS's for a new task, whose last node has six pairs of inputs; of 15 pairs each edge has a third."""
    soft = ["relax.kind=soft_pruning", "relax.temperature_start=1", "relax.temperature_end=0.1", "adapt.threshold=0.05"]
    Workbench.of(load_experiment(None, [*soft, "space.nodes=4"]))
    with pytest.raises(ConfigError, match="adapt.threshold=0.05 prunes every option that an edge or a node has"):
        Workbench.of(load_experiment(None, [*soft, "space.nodes=5"]))


@pytest.mark.parametrize("kind", get_args(get_type_hints(Space)["kind"]))
def test_what_is_said_to_decide_nothing_decides_nothing(kind: str) -> None:
    nodes = 3 if kind == "nas_bench_201" else 2
    found = load_experiment(None, [f"space.kind={kind}", f"space.nodes={nodes}"])
    assert found.space.is_fixed == (not build.space(found).decisions)


@pytest.mark.parametrize(("steps", "gradient"), [(0, "maml"), (0, "joint"), (1, "maml"), (1, "reptile"), (1, "joint")])
def test_few_steps_work(steps: int, gradient: str, metanas, tiny_overrides: list[str], tmp_path: Path) -> None:
    keys = [f"inner.steps={steps}", f"adapt.steps={steps}", f"adapt.child_steps={steps}", f"meta.gradient={gradient}"]
    run = tmp_path / "run"
    said = metanas("meta-train", "-q", "--out", run, *tiny_overrides, *keys)
    assert said.code == 0, said.err
    said = metanas("evaluate", "-q", run)
    assert said.code == 0, said.err
