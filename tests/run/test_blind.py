"""What a configuration can name may be recorded on a GPU: it looks at no value, on a device whose tensors have none."""

import pytest
import torch

from metanas.config_file import load_experiment, load_search
from metanas.meta.metric import Metric
from metanas.objective import Classification
from metanas.optim import Adam, Sgd
from metanas.params import MetaParams, leaves, tree_map
from metanas.run import build, build_data
from metanas.run.build_search import METHODS
from metanas.search.first_order import first_order
from metanas.search.joint import both
from metanas.search.searcher import moved
from metanas.spaces.initial import initial_weights
from tasks.episode import Batch, Episode
from tasks.stream import stream

AWAY = torch.device("meta")
SMALL = ["space.width=4", "space.nodes=1", "task.n_way=3", "data.resolution=16"]
EXPERIMENTS = {
    "straight through": ["relax.temperature_start=1"],
    "softmax": ["relax.kind=softmax", "relax.temperature_start=1", "relax.temperature_end=1"],
    "gumbel softmax": ["relax.kind=gumbel_softmax", "relax.temperature_start=1", "relax.temperature_end=1"],
    "soft pruning": ["relax.kind=soft_pruning", "relax.temperature_start=1", "relax.temperature_end=1"],
    "darts": ["space.kind=darts", "space.cells=3"],
    "partial channels": ["space.partial=2"],
    "metanas": [
        "space.kind=metanas",
        "space.cells=2",
        "relax.kind=soft_pruning",
        "relax.anneal=task",
        "relax.temperature_start=1",
        "relax.temperature_end=0.1",
    ],
    "nas_bench_201": ["space.kind=nas_bench_201", "space.nodes=3", "space.cells=1"],
    "conv4": ["space.kind=conv4"],
    "resnet12": ["space.kind=resnet12"],
}
RECORDED = [name for name in METHODS if name not in ("darts_second_order", "darts_finite_difference", "drnas")]
"""Second-order steps look at values, and the derivative of a Dirichlet sample has no kernel on this device."""
METRIC = ["adapt.steps=0", "adapt.child_steps=0", "adapt.classifier=means"]


def images(name: str, per_class: int) -> Batch:
    y = torch.arange(3, device=AWAY).repeat_interleave(per_class).expand(2, -1)
    return Batch(torch.rand(*y.shape, 1, 16, 16, generator=stream(0, name)).to(AWAY), y)


EPISODES = Episode(images("support", 1), images("query", 2))


def verdict(overrides: list[str]) -> MetaParams:
    experiment = load_experiment(None, [*SMALL, *overrides])
    space = build.space(experiment)
    net = space.supernet(build_data.spec(experiment))
    relaxation = build.relaxation(experiment, space)
    start = MetaParams(initial_weights(net, stream(0, "weights")), space.logits())
    noise = relaxation.draw(start.arch, stream(0, "noise"))
    loss = Classification(
        net,
        relaxation,
        experiment.temperature(0),
        {name: table.to(AWAY) for name, table in noise.items()},
        criterion=build.criterion(experiment),
        temperature_first=experiment.temperature_first(0),
    ).blind(AWAY)
    gradient = build.learner(experiment).gradient
    assert isinstance(gradient, Metric) is ("prototypes" in str(overrides) or "relation" in str(overrides))
    return gradient(loss, tree_map(lambda t: t.to(AWAY), start), EPISODES).gradient


@pytest.mark.parametrize("overrides", EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_a_meta_gradient(overrides: list[str]) -> None:
    assert {tensor.device for tensor in leaves(verdict(overrides))} == {AWAY}


@pytest.mark.parametrize("gradient", ["prototypes", "cosine_prototypes", "relation"])
def test_a_metric_learner(gradient: str) -> None:
    overrides = [f"meta.gradient={gradient}", "space.kind=conv4", *METRIC]
    assert {tensor.device for tensor in leaves(verdict(overrides))} == {AWAY}


SEARCHES = [(method, "darts") for method in RECORDED]
SEARCHES += [(method, "nas_bench_201") for method in RECORDED if method not in ("pc_darts", "p_darts")]


@pytest.mark.parametrize(("method", "kind"), SEARCHES)
def test_the_steps_of_a_search(method: str, kind: str) -> None:
    sizes = ["space.cells=3", "space.nodes=1"] if kind == "darts" else ["space.cells=1", "space.nodes=3"]
    if method == "pc_darts":
        sizes.append("space.partial=2")
    if method == "p_darts":
        sizes += ["space.cells=null", "search.stage_cells=[3]", "search.stage_ops=[8]", "search.stage_drop=[0.0]"]
    experiment = load_search(None, [f"space.kind={kind}", "space.width=4", f"search.method={method}", *sizes])
    space = build.space(experiment)
    net = space.supernet(build_data.spec(load_experiment(None, SMALL)))
    searcher = METHODS[method](net, space, Sgd(), Adam(clip=0.0))
    start = MetaParams(initial_weights(net, stream(0, "weights")), space.logits())
    noise = searcher.relaxation.draw(start.arch, stream(0, "noise"))
    away = {name: table.to(AWAY) for name, table in noise.items()}
    loss = Classification(net, searcher.relaxation, 1.0, away).blind(AWAY)
    batch = Batch(EPISODES.query.x[0], EPISODES.query.y[0])
    start = tree_map(lambda t: t.to(AWAY), start)
    momentum = {name: torch.zeros_like(weight) for name, weight in start.weights.items()}
    assert first_order(loss, start, batch).loss.device == AWAY
    assert both(loss, start, batch)[1].device == AWAY
    assert moved(loss, start, batch, Sgd(), momentum, torch.full((), 0.1, device=AWAY)).loss.device == AWAY
