"""Imports point one way, down the layers; lazy ones and those for type checkers included."""

import ast
import sys
from collections.abc import Iterator
from typing import NamedTuple

import pytest


class Layer(NamedTuple):
    ours: str
    """Layers, or modules in them, that this one may import besides itself."""
    theirs: str
    """Packages from outside, as they are imported; the standard library goes without saying."""


BOTTOM = (
    "metanas.errors metanas.allocator metanas.atomic metanas.params metanas.categorical metanas.parallel"
    " metanas.constant metanas.recorder"
)

# From the bottom up. A name stands for the module and for everything below it.
LAYERS = {
    "tasks": Layer("", "torch torchvision numpy PIL matplotlib fontTools scipy"),
    "metanas": Layer("", ""),  # the package's own __init__, which `metanas --help` pays for
    "metanas.errors": Layer("tasks.errors", ""),
    "metanas.allocator": Layer("", ""),
    "metanas.atomic": Layer("", ""),
    "metanas.params": Layer("metanas.errors", "torch"),
    "metanas.categorical": Layer("", "torch"),
    "metanas.constant": Layer("", "torch"),
    "metanas.prototypes": Layer("", "torch"),
    "metanas.viewing": Layer("", "torch"),
    "metanas.recorder": Layer("metanas.errors", "torch"),
    "metanas.parallel": Layer("metanas.errors", "torch"),
    "metanas.track": Layer("metanas.errors", "wandb rich"),
    "metanas.checkpoint": Layer(BOTTOM, "torch safetensors"),
    "metanas.relax": Layer(BOTTOM, "torch"),
    "metanas.optim": Layer(BOTTOM, "torch"),
    "metanas.objective": Layer(f"{BOTTOM} metanas.prototypes metanas.relax metanas.viewing tasks.episode", "torch"),
    "metanas.spaces": Layer(f"{BOTTOM} tasks.episode", "torch matplotlib"),
    "metanas.networks": Layer(f"{BOTTOM} metanas.spaces tasks.episode", "torch"),
    "metanas.meta": Layer(f"{BOTTOM} metanas.optim metanas.objective tasks.episode", "torch higher"),
    # The configuration is made of the dataclasses of components, which stand in the components' files; what a
    # source or augmentation may be asked for stands in tables of tasks.
    "metanas.config": Layer(
        "metanas.errors metanas.optim metanas.meta.adapt metanas.meta.batch metanas.recorder"
        " tasks.catalogue tasks.augment.named tasks.augment.views",
        "",
    ),
    "metanas.config_file": Layer("metanas.config metanas.errors", "omegaconf yaml"),
    "metanas.problem": Layer(f"{BOTTOM} metanas.relax metanas.objective metanas.viewing metanas.spaces tasks", "torch"),
    "metanas.search": Layer(
        f"{BOTTOM} metanas.optim metanas.relax metanas.objective metanas.meta metanas.spaces.space tasks.episode",
        "torch",
    ),
    "metanas.estimators": Layer(
        f"{BOTTOM} metanas.optim metanas.objective metanas.meta metanas.spaces metanas.problem tasks",
        "torch numpy",
    ),
    "metanas.explore": Layer("metanas.errors metanas.spaces tasks.stream", "torch"),
    "metanas.strategies": Layer(
        f"{BOTTOM} metanas.optim metanas.relax metanas.objective metanas.meta metanas.spaces metanas.problem"
        " metanas.estimators.estimator metanas.estimators.table tasks",
        "torch",
    ),
    "metanas.evaluate": Layer(
        f"{BOTTOM} metanas.track.jsonl metanas.prototypes metanas.spaces metanas.objective metanas.problem"
        " metanas.strategies tasks",
        "torch numpy matplotlib",
    ),
    "metanas.bench": Layer(
        f"{BOTTOM} metanas.optim metanas.relax metanas.objective metanas.spaces metanas.meta metanas.search tasks",
        "torch learn2learn",
    ),
    "metanas.run": Layer(
        f"{BOTTOM} metanas.config metanas.config_file metanas.track metanas.checkpoint"
        " metanas.relax metanas.optim metanas.viewing"
        " metanas.objective metanas.spaces metanas.networks metanas.meta metanas.search metanas.problem"
        " metanas.estimators metanas.explore metanas.strategies"
        " metanas.evaluate metanas.bench tasks",
        "torch numpy PIL matplotlib safetensors omegaconf rich",
    ),
    "metanas.cli": Layer("metanas.run metanas.config_file metanas.errors tasks.errors", "typer rich"),
}
TOP = {"tasks", "metanas"}


def within(name: str, prefix: str) -> bool:
    # `metanas` stands for its __init__ alone: all else in it has a layer of its own.
    return name == prefix or (prefix != "metanas" and name.startswith(f"{prefix}."))


def imported(source) -> Iterator[str]:
    """Every name a module imports, `package.module.thing` where a thing is imported from a module."""
    package = source.name.split(".") if source.is_package else source.name.split(".")[:-1]
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            yield from (".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "import_module":
            named = node.args[0]
            yield named.value if isinstance(named, ast.Constant) else "a name computed at run time"


def violations(source) -> list[str]:
    """What a module imports and may not."""
    layer = next((name for name in LAYERS if within(source.name, name)), None)
    if layer is None:
        return [f"{source.name} is in no layer; add it to the table in {__file__}"]
    allowed = [layer, *LAYERS[layer].ours.split()]
    found = []
    for name in imported(source):
        top = name.split(".")[0]
        if top in TOP:
            is_allowed = any(within(name, prefix) for prefix in allowed)
        else:
            is_allowed = top in sys.stdlib_module_names or top in LAYERS[layer].theirs.split()
        if not is_allowed:
            found.append(f"{source.name} ({layer}) imports {name}")
    return found


def test_imports_point_down_the_layers(sources):
    assert [line for source in sources for line in violations(source)] == []


def test_the_table_has_no_arrow_up():
    order = list(LAYERS)
    for position, layer in enumerate(order):
        for name in LAYERS[layer].ours.split():
            below = next(other for other in order if within(name, other))
            assert order.index(below) < position, f"{layer} may import {name}, which stands above it"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tasks.bank", "import metanas"),
        ("tasks.bank", "import wandb"),
        ("tasks.bank", "def load():\n    from metanas.errors import RunError"),
        ("metanas.meta.maml", "from metanas.spaces.cell import Cell"),
        ("metanas.meta.maml", "from metanas import spaces"),
        ("metanas.meta.maml", "from ..relax import softmax"),
        ("metanas.meta.maml", "if TYPE_CHECKING:\n    import metanas.relax.softmax"),
        ("metanas.relax.softmax", "import importlib\nimportlib.import_module('metanas.run')"),
        ("metanas.relax.softmax", "import importlib\nimportlib.import_module(name)"),
        ("metanas.spaces.cell", "from tasks.bank import ImageBank"),
        ("metanas.strategies.random", "from metanas.evaluate import report"),
        ("metanas.strategies.random", "from metanas.estimators.report import read_report"),
        ("metanas.track.jsonl", "from metanas.params import Params"),
        ("metanas.cli", "import torch"),
        ("metanas.cli", "from metanas.strategies.random import Random"),
        ("metanas.helpful", ""),
    ],
)
def test_an_arrow_that_points_up_is_found(module, name, text):
    assert len(violations(module(name, text))) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tasks.bank", "import json\nfrom torch import Tensor\nfrom tasks.errors import DataError"),
        ("metanas.meta.maml", "from metanas.objective import LossFn\nfrom .adapt import adapt"),
        ("metanas.spaces.cell", "from tasks.episode import TaskSpec"),
        ("metanas.cli", "def demo():\n    from metanas.run import demo"),
    ],
)
def test_an_arrow_that_points_down_is_fine(module, name, text):
    assert violations(module(name, text)) == []
