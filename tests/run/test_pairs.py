"""Learners, spaces and gates that cannot work together are refused by name, before anything is written."""

from pathlib import Path

import pytest

STEPLESS = ["adapt.steps=0", "adapt.child_steps=0", "adapt.classifier=means"]
PAIRS = [
    (
        [
            *["space.kind=nas_bench_201", "space.nodes=3", "space.cells=1", "relax.kind=soft_pruning"],
            *["relax.temperature_start=1", "relax.temperature_end=0.1", "relax.ramp=1"],
        ],
        "relax.kind=soft_pruning needs cells whose nodes have 2, 3, ... inputs",
    ),
    (["meta.gradient=relation", *STEPLESS], "the relation module needs feature maps of at least 4x4, got 2x2"),
    (["meta.gradient=prototypes"], "meta.gradient=prototypes takes no support steps"),
    (["space.kind=conv4", "adapt.strategy=prior"], "space.kind=conv4 has nothing to decide"),
    (["inner.optimiser=adam"], "inner.optimiser=adam cannot be differentiated through"),
    (["meta.gradient=reptile", "inner.rates=layer"], "got meta.gradient=reptile; take inner.rates=fixed"),
]


@pytest.mark.parametrize(("keys", "says"), PAIRS, ids=[" ".join(keys[:2]) for keys, _ in PAIRS])
def test_a_pair_that_cannot_work_is_refused(
    keys: list[str], says: str, metanas, tiny_overrides: list[str], tmp_path: Path
) -> None:
    line = metanas("meta-train", "--out", tmp_path / "run", *tiny_overrides, *keys).line
    assert says in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("gradient", ["maml", "reptile", "joint"])
@pytest.mark.parametrize("steps", [0, 1])
def test_few_steps_work(steps: int, gradient: str, metanas, tiny_overrides: list[str], tmp_path: Path) -> None:
    keys = [f"inner.steps={steps}", f"adapt.steps={steps}", f"adapt.child_steps={steps}", f"meta.gradient={gradient}"]
    run = tmp_path / "run"
    said = metanas("meta-train", "-q", "--out", run, *tiny_overrides, *keys)
    assert said.code == 0, said.err
    said = metanas("evaluate", "-q", run)
    assert said.code == 0, said.err
