import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from metanas.cli import app
from metanas.config import Data, Experiment
from metanas.config_file import dump_experiment, load_experiment
from metanas.errors import ConfigError
from metanas.meta.adapt import Inner

OVERRIDES = [  # a mistake, and what its one line must say
    ("inner.stepz=1", "inner.stepz.*Did you mean: 'steps'"),
    ("innr.steps=1", "'innr'.*Did you mean: 'inner'"),
    ("track.wandb.modus=online", "track.wandb.modus.*Did you mean: 'mode'"),
    ("inner.steps=x", "inner.steps.*'x'"),
    ("inner.steps=1.5", "inner.steps.*1.5"),
    ("inner.steps=", "inner.steps"),
    ("inner.rates=each", "inner.rates.*'each', expected one of .*'layer_step'"),
    ("inner.engine=fast", "inner.engine.*'fast', expected one of .*'higher'"),
    ("meta.gradient=imaml", "meta.gradient=imaml needs inner.proximal_weights above 0"),
    ("meta.gradient=variational", "meta.gradient=variational needs inner.kl_arch above 0, got 0"),
    ("inner.kl_arch=-1", "inner.kl_arch must be 0 or more, got -1"),
    ("adapt.samples=-1", "adapt.samples must be in 0..1000, got -1"),
    ("inner.first_order=maybe", "inner.first_order.*maybe"),
    ("inner.lr_weights=nan", "inner.lr_weights must be 0 or more, got nan"),
    ("seed=true", "seed.*True"),
    ("seed=null", "seed.*None"),
    ("seed=???", "seed"),
    ("name", "key=value, got 'name'"),
    ("name=", "name"),
    ("name=a/b", "name must be usable as a directory name, got 'a/b'"),
    ("name=..", "name must be usable as a directory name"),
    ("relax.kind=softmx", "relax.kind.*'softmx', expected one of .*'softmax'"),
    ("data.source=mnist", "data.source.*'mnist', expected one of .*'omniglot'"),
    ("data.channels=2", "data.channels must be 1 or 3 for data.source=glyphs, got 2"),
    ("data.weights=[1,2]", "data.weights must hold a number above 0 for .* 1 in all, got .*1.0, 2.0"),
    ("data.weights=[0]", "data.weights must hold a number above 0"),
    ("data.weights=[.nan]", "data.weights must hold a number above 0"),
    ("data.mixing=often", "data.mixing.*'often', expected one of .*'proportional'"),
    ("data.source=cifar_fs", "data.channels must be 3 for data.source=cifar_fs, got 1"),
    ("data.mix=[fc100]", "data.channels must be 3 for data.mix=fc100, got 1"),
    ("inner=3", "inner must be a group of keys and values, got 3"),
    ("inner=[1,2]", r"inner must be a group of keys and values, got \[1, 2\]"),
    ("inner[0]=3", "inner.0"),
    ("meta.tasks=[1]", r"meta.tasks must be a single value, got \[1\]"),
    ("meta.tasks={a: 1}", "meta.tasks must be a single value"),
    ("data.mix=omniglot", r"data.mix must be a list \[a, b\], got omniglot"),
    ('data.mix=["${oc.env:HOME}"]', "data.mix holds an interpolation"),
    ("data.mix=[faces]", "data.mix names further sources, each once, some of omniglot, .*folder, got 'faces'"),
    ("data.mix=[omniglot,omniglot]", "data.mix names further sources, each once, .* got 'omniglot'"),
    ("track.wandb=null", "track.wandb must be a group"),
    ("data.root=${oc.env:HOME}", "data.root holds an interpolation"),
    ("name=${seed}", "name holds an interpolation"),
    ("name=[", "overrides"),
    ("=3", "overrides"),
    ("space.width=3", "space.width must be even and at least 2, got 3"),  # found when the space is built
    ("space.nodes=9", "space.nodes must be in 1..8, got 9"),
    ("space.cells=8", "space.cells must be null or 2 for space.kind=fewshot, got 8; space.kind=darts stacks more"),
    ("space.kind=nas_bench_201", "space.nodes must be 3 for space.kind=nas_bench_201"),
]

FILES = [
    ("- a\n- b", "expected a mapping of keys to values, got a list"),
    ("hello", "hello"),
    ("3", "int"),
    ("inner: [1]", "inner must be a group"),
    ("inner:\n  stepz: 1", "inner.stepz.*Did you mean: 'steps'"),
    ("seed: 1\nseed: 2", "duplicate key seed"),
    ("a: [", "line 2"),
    ("inner:\n\tsteps: 1", "line 2"),
    ("name: ${oc.env:HOME}", "name holds an interpolation"),
    ("inner: ${outer}", "inner holds an interpolation"),
    ("data: {root: [a]}", "data.root must be a single value"),
    ("1: 2", "'1'"),
    ("&a [*a]", "recursive"),
]

RANGES = [
    "data.resolution=7",
    "data.channels=2",
    "task.n_way=1",
    "task.k_shot=0",
    "task.n_query=0",
    "relax.temperature_start=-1",
    "relax.temperature_end=101",
    "relax.ramp=2",
    "relax.threshold=2",
    "inner.steps=-1",
    "inner.lr_arch=-0.1",
    "outer.lr_weights=-1",
    "outer.beta2=1",
    "outer.eps=0",
    "meta.iterations=0",
    "meta.tasks=0",
    "meta.chunk=-1",
    "meta.cosine=1.1",
    "meta.validate_every=-1",
    "meta.validate_episodes=1",
    "meta.save_every=0",
    "meta.warmup=1.5",
    "meta.patience=-1",
    "meta.cg_steps=-1",
    "meta.minibatches=0",
    "inner.proximal_weights=-1",
    "outer.lr_rates=-1",
    "adapt.steps=-1",
    "adapt.child_steps=-1",
    "adapt.lr_weights=-1",
    "adapt.lr_arch=1e7",
    "evaluate.episodes=1",
    "evaluate.n_query=0",
    "evaluate.n_way=1",
    "evaluate.k_shot=0",
    "adapt.reference=-1",
    "adapt.background=-1",
    "adapt.background=1",
    "evaluate.chunk=0",
    "evaluate.timed=0",
    "track.every=0",
    "threads=-1",
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, where a run directory would be seen."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    return tmp_path / "cwd"


def the_line(arguments: list[str], here: Path) -> str:
    """The only line that a refused meta-training prints; it leaves no run directory."""
    before = set(here.iterdir())
    result = CliRunner().invoke(app, ["meta-train", *arguments])
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert set(here.iterdir()) == before
    (line,) = result.stderr.splitlines()
    assert line.startswith("metanas: ")
    return line


@pytest.mark.parametrize(("mistake", "says"), OVERRIDES)
def test_a_wrong_override_is_refused_in_one_line(mistake: str, says: str, here: Path) -> None:
    assert re.search(says, the_line([mistake], here))


@pytest.mark.parametrize(("text", "says"), FILES)
def test_a_wrong_file_is_refused_in_one_line(text: str, says: str, here: Path) -> None:
    Path("wrong.yaml").write_text(text, encoding="utf-8")
    assert re.search(says, the_line(["-c", "wrong.yaml"], here))


def test_the_line_names_the_file_that_holds_the_mistake(here: Path) -> None:
    Path("wrong.yaml").write_text("sed: 1")
    assert "wrong.yaml" in the_line(["-c", "wrong.yaml"], here)


def test_a_file_that_is_no_text_is_refused(here: Path) -> None:
    Path("wrong.yaml").write_bytes(b"name: \xff\xfe\n")
    assert "wrong.yaml" in the_line(["-c", "wrong.yaml"], here)


@pytest.mark.parametrize("path", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read_is_refused(path: str, here: Path) -> None:
    assert f"the configuration {path} cannot be read" in the_line(["-c", path], here)


def test_a_file_cannot_run_code(here: Path) -> None:
    Path("wrong.yaml").write_text("name: !!python/object/apply:os.mkdir [canary]")
    assert "python/object" in the_line(["-c", "wrong.yaml"], here)
    assert not Path("canary").exists()


@pytest.mark.parametrize("override", RANGES)
def test_a_number_out_of_range_is_refused_by_name(override: str) -> None:
    key, value = override.split("=")
    with pytest.raises(ConfigError, match=rf"^{re.escape(key)} must be .*got {value.split('e')[0]}"):
        load_experiment(None, [override])


@pytest.mark.parametrize("source", ["cifar_fs", "fc100", "folder"])
def test_colours_need_no_more_than_to_be_asked_for(source: str) -> None:
    overrides = [f"data.source={source}", "data.channels=3", "data.resolution=32"]
    assert load_experiment(None, overrides) == Experiment(data=Data(source=source, channels=3, resolution=32))
    with pytest.raises(ConfigError, match=f"data.channels must be .*3 for data.source={source}, got 4"):
        load_experiment(None, [*overrides, "data.channels=4"])


def test_a_source_that_is_mixed_in_has_the_channels_too() -> None:
    colours = ["data.source=folder", "data.channels=3"]
    assert load_experiment(None, [*colours, "data.mix=[cifar_fs]"]).data.mix == ["cifar_fs"]
    assert load_experiment(None, [*colours, "data.mix=[omniglot]", "data.weights=[1,3]"]).data.weights == [1, 3]
    with pytest.raises(ConfigError, match="data.channels must be 3 for data.mix=cifar_fs, got 1"):
        load_experiment(None, ["data.mix=[omniglot, cifar_fs]"])


def test_softmax_refuses_the_temperature_that_straight_through_takes() -> None:
    overrides = ["relax.temperature_start=1", "relax.temperature_end=0"]
    assert load_experiment(None, overrides).relax.temperature_end == 0
    with pytest.raises(ConfigError, match="relax.temperature_end must be in 0.01"):
        load_experiment(None, ["relax.kind=softmax", *overrides])


def test_overrides_win_over_the_file_and_the_file_over_the_defaults() -> None:
    Path("some.yaml").write_text("inner: {steps: 3, lr_arch: 1e-3}\nname: 'no'\n")
    found = load_experiment(Path("some.yaml"), ["inner.steps=4", "data.root=a=b"])
    assert found == replace(
        Experiment(),
        name="no",
        inner=Inner(steps=4, lr_arch=0.001),
        data=Data(root="a=b"),
    )


@pytest.mark.parametrize("text", ["", "# nothing\n", "~"])
def test_an_empty_file_is_the_defaults(text: str) -> None:
    Path("empty.yaml").write_text(text)
    assert load_experiment(Path("empty.yaml"), []) == Experiment()


words = st.text(st.characters(exclude_characters="$/\\\0", exclude_categories=["Cs", "Cc"]), min_size=1)
rates = st.floats(0, 1e6, allow_subnormal=False)


@settings(max_examples=20, deadline=None)
@example("no", "~", 1e-3, 0)
@example("1e3", "- a: b", 1e22, -1)
@example("null", "2026-01-01", 0.1, 2**70)
@example(" padded ", "#x\u2028y", 0.0, 0)
@given(words.filter(lambda name: name not in (".", "..")), words | st.none(), rates, st.integers())
def test_what_is_written_is_read_back(name: str, root: str | None, rate: float, seed: int) -> None:
    experiment = replace(Experiment(), name=name, seed=seed, data=Data(root=root), inner=Inner(lr_weights=rate))
    Path("dumped.yaml").write_text(dump_experiment(experiment), encoding="utf-8")
    assert load_experiment(Path("dumped.yaml"), []) == experiment


@pytest.mark.parametrize("gradient", ["reptile", "imaml", "joint"])
def test_rates_are_learned_by_a_gradient_that_sees_them(gradient: str) -> None:
    with pytest.raises(ConfigError, match=f"inner.rates=layer is learned .*got meta.gradient={gradient}"):
        load_experiment(None, ["inner.rates=layer", f"meta.gradient={gradient}"])


def test_patience_counts_validations_that_there_must_be() -> None:
    with pytest.raises(ConfigError, match="meta.patience=2 counts validations, but meta.validate_every=0 has none"):
        load_experiment(None, ["meta.patience=2", "meta.validate_every=0"])


def test_the_temperature_waits_for_the_end_of_the_warm_up() -> None:
    temperatures = ["relax.temperature_start=1", "relax.temperature_end=0", "relax.ramp=0.5"]
    experiment = load_experiment(None, ["meta.iterations=12", "meta.warmup=0.3", *temperatures])
    assert [i for i in range(12) if experiment.meta.is_warming(i)] == [0, 1, 2, 3]
    assert [experiment.temperature(i) for i in (0, 3, 4, 6, 8, 11)] == pytest.approx([1, 1, 1, 0.5, 0, 0])


def test_the_temperature_falls_linearly_and_stays() -> None:
    relax = load_experiment(None, ["relax.temperature_start=1", "relax.temperature_end=0.2", "relax.ramp=0.5"]).relax
    assert [relax.temperature(progress) for progress in (0, 0.25, 0.5, 1)] == pytest.approx([1, 0.6, 0.2, 0.2])
    assert replace(relax, ramp=0.0).temperature(0) == pytest.approx(0.2)
