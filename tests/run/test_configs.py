from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from metanas.config import Experiment
from metanas.config.exploration import Exploration
from metanas.config.retrain import RetrainExperiment
from metanas.config.search import SearchExperiment
from metanas.config_file import load_any, load_experiment, load_exploration, load_retrain, load_search
from metanas.run.build_search import SearchBench
from metanas.run.demo import demo_experiment
from metanas.run.directory import RunDirectory
from metanas.run.explore import explore
from metanas.run.meta_train import meta_train
from metanas.run.retrain import retrain
from metanas.run.start import start
from metanas.track.jsonl import read_rows
from tasks.sources.glyphs import characters

ROOT = Path(__file__).parents[2] / "configs"
FILES = sorted(path for path in ROOT.rglob("*") if path.is_file())
SMALLER = [
    *[
        "data.source=glyphs",
        "data.mix=[]",
        "data.root=null",
        "data.resolution=16",
        "data.channels=1",
        "data.rotations=false",
    ],
    *["space.width=2", "meta.iterations=1", "meta.tasks=2", "task.n_query=1"],
    *["meta.validate_every=0", "evaluate.n_query=1", "track.wandb.mode=disabled", "threads=1", "device=cpu"],
]

LEAST = {
    "fewshot": ["space.cells=null"],
    "darts": ["space.kind=darts", "space.cells=3"],
    "nas_bench_201": ["space.kind=nas_bench_201", "space.nodes=3", "space.cells=1"],
}
"""The smallest networks to search."""

FEWEST_NODES = {"nas_bench_201": 3}
"""Of spaces that need more than one."""

LEAST_WIDTH = {"resnet8": 4, "resnet8_maps": 4}
"""Of networks that need more than two."""


def test_there_are_configurations_and_nothing_else() -> None:
    assert len(FILES) > 0
    assert [path for path in FILES if path.suffix != ".yaml"] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
class TestConfiguration:
    def test_it_names_every_key(self, path: Path) -> None:
        assert OmegaConf.to_container(OmegaConf.load(path)) == asdict(load_any(path, []))

    def test_it_says_at_the_top_what_it_is(self, path: Path) -> None:
        assert path.read_text(encoding="utf-8").startswith("# ")

    def test_it_runs_for_one_step(
        self, path: Path, searched_on: list[str], retrained_on: list[str], tmp_path: Path
    ) -> None:
        directory = RunDirectory(tmp_path / "run")
        found = load_any(path, [])
        if isinstance(found, SearchExperiment):
            smallest = [f"space.width={max(2, found.space.partial)}", *LEAST[found.space.kind]]
            stages = found.search.stages
            if stages > 1:
                smallest += [f"search.stage_cells={[3] * stages}".replace(" ", ""), "space.cells=null"]
            smallest += ["images.per_class=0", "images.batch=12", "search.epochs=1"]
            bench = SearchBench.of(load_search(path, [*searched_on, *smallest]))
            for stage in range(stages):
                train, valid = bench.train.batch(stage, 0), bench.valid.batch(stage, 0)
                begun = bench.searcher.init(start(bench))
                state, metrics = bench.searcher.step(begun, train, valid, bench.pace(stage))
                assert metrics["search/train_loss"] > 0
                if stage + 1 < stages:
                    bench = SearchBench.of(bench.experiment, bench.next_stage(state.params.arch))
            assert bench.steps == bench.end == stages
            return
        if isinstance(found, RetrainExperiment):
            retrain("darts_v2", load_retrain(path, [*retrained_on, "images.batch=20"]), directory, quiet=True)
            (row,) = read_rows(directory.metrics)
            assert row["retrain/step"] == 1
            return
        if isinstance(found, Exploration):
            tiny = [item for item in SMALLER if not item.startswith("meta.validate_every")]
            one = [*tiny, "space.nodes=1", "explore.first=1", "meta.validate_episodes=2"]
            assert explore(load_exploration(path, one), directory, quiet=True)["candidates"] == 1
            (row,) = read_rows(directory.metrics)
            assert row["explore/candidate"] == 1
            return
        nodes = found.space.nodes if found.space.genotype else FEWEST_NODES.get(found.space.kind, 1)
        smaller = [*SMALLER, f"space.nodes={nodes}", f"space.width={LEAST_WIDTH.get(found.space.kind, 2)}"]
        if found.task.labels == "classes":
            smaller.append(f"task.n_way={len(characters()['train'])}")
        if found.meta.minibatches > 1:
            smaller.append(f"task.n_query={found.meta.minibatches - 1}")  # beside one support image of each class
        meta_train(load_experiment(path, smaller), directory, quiet=True)
        (row,) = read_rows(directory.metrics)
        assert row["meta/iter"] == 1


def test_a_configuration_that_lacks_a_key_is_noticed(tiny: Callable[..., Experiment], tmp_path: Path) -> None:
    (tmp_path / "short.yaml").write_text("# short\nname: short\n")
    path = tmp_path / "short.yaml"
    assert OmegaConf.to_container(OmegaConf.load(path)) != asdict(load_experiment(path, []))


def test_the_demonstration_is_its_configuration_file() -> None:
    assert load_experiment(ROOT / "demo.yaml", []) == demo_experiment([])
