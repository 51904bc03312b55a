"""From keys to objects: the mixture that meta-training drinks from."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from metanas.config_file import load_experiment, load_search
from metanas.errors import ConfigError
from metanas.meta.adapt import Inner
from metanas.meta.gradient import MetaGradient
from metanas.meta.imaml import Imaml
from metanas.meta.joint import Joint
from metanas.meta.maml import Maml
from metanas.meta.reptile import Reptile
from metanas.meta.variational import Variational
from metanas.run import build, build_data
from metanas.run.build_search import SearchBench
from metanas.run.workbench import Workbench
from tasks.errors import DataError
from tasks.mixture import Mixture
from tasks.split import SplitName
from tasks.stream import stream


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Ten classes of five coloured pictures; six, two and two are for training, validation and test."""
    rng = stream(0, "pictures")
    for name in "abcdefghij":
        (tmp_path / name).mkdir()
        for i, pixels in enumerate(torch.randint(256, (5, 8, 8, 3), generator=rng).byte().numpy()):
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    return tmp_path


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], Maml(Inner())),
        (["inner.rates=element"], Maml(Inner(rates="element"))),
        (["meta.gradient=reptile", "meta.minibatches=2", "inner.steps=2"], Reptile(Inner(2), 2)),
        (["meta.gradient=joint"], Joint()),
        (
            ["meta.gradient=variational", "inner.kl_arch=1", "relax.temperature_end=0.1"],
            Variational(Inner(kl_arch=1)),
        ),
        (
            ["meta.gradient=imaml", "meta.cg_steps=3", "inner.proximal_weights=2", "inner.proximal_arch=1"],
            Imaml(Inner(proximal_weights=2, proximal_arch=1), 3),
        ),
    ],
)
def test_every_meta_gradient_has_its_name(overrides: list[str], expected: MetaGradient) -> None:
    assert build.learner(load_experiment(None, overrides)).gradient == expected


@pytest.mark.parametrize(
    ("override", "share"),
    [("data.mixing=uniform", 1 / 2), ("data.mixing=proportional", 6 / 1230), ("data.weights=[1, 3]", 3 / 4)],
)
def test_sources_are_drawn_as_often_as_the_configuration_says(override: str, share: float, pictures: Path) -> None:
    overrides = ["data.mix=[folder]", "data.channels=3", "data.resolution=16", f"data.root={pictures}", override]
    experiment = load_experiment(None, ["task.n_query=1", *overrides])
    parts = [build_data.dataset(experiment.data.of(name)) for name in experiment.data.sources]
    episodes = build_data.training(experiment, parts)
    assert isinstance(episodes, Mixture)
    assert {episodes[i].support.x.shape for i in range(20)} == {(5, 3, 16, 16)}
    drawn = sum(episodes.member_of(i) for i in range(400)) / 400
    assert drawn == pytest.approx(share, abs=0.08)


@pytest.mark.parametrize(
    ("split", "key"), [("train", "task.n_query"), ("validation", "evaluate.n_query"), ("test", "evaluate.n_query")]
)
def test_too_many_queries_name_the_key_that_asks_for_them(split: SplitName, key: str, pictures: Path) -> None:
    """Of training episodes the one, of those that judge, whatever their classes, the other."""
    small = ["data.source=folder", "data.channels=3", "data.resolution=16", f"data.root={pictures}", "task.n_way=2"]
    experiment = load_experiment(None, [*small, "task.n_query=5", "evaluate.n_query=5"])
    found = build_data.dataset(experiment.data)
    with pytest.raises(DataError, match=rf"{split}: class .* need 6; .* \({split} episodes take n_query from {key}\)$"):
        build_data.training(experiment, [found]) if split == "train" else build_data.episodes(experiment, found, split)


class TestEngine:
    """Recording needs a GPU; where there is none it is refused before anything is written."""

    @pytest.fixture(autouse=True)
    def _without_a_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    def test_of_meta_training(self) -> None:
        with pytest.raises(ConfigError, match="engine=graph records CUDA graphs and needs a GPU, got device=cpu"):
            Workbench.of(load_experiment(None, ["inner.engine=graph"]))

    def test_of_a_search(self) -> None:
        experiment = load_search(None, ["search.engine=graph"])
        with pytest.raises(ConfigError, match="engine=graph records CUDA graphs and needs a GPU, got device=cpu"):
            SearchBench.of(experiment)
