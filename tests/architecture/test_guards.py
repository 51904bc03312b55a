"""Habits that a reader relies on, and calls that would run what a file says."""

import ast
from collections.abc import Iterator

import pytest

MOST_LINES = 300
NAMES_OF_NOTHING = {"utils", "util", "common", "helpers", "helper", "core", "misc", "manager"}
MAY_PRINT = ("metanas.cli", "metanas.track.console")
RUNS_WHAT_A_FILE_SAYS = {
    "eval",
    "exec",
    "pickle.load",
    "pickle.loads",
    "yaml.load",
    "yaml.full_load",
    "yaml.unsafe_load",
}


def unsafe(source) -> Iterator[str]:
    """Calls that may run code from the file that they read."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom):
            for name in RUNS_WHAT_A_FILE_SAYS.intersection(f"{node.module}.{alias.name}" for alias in node.names):
                yield f"{source.name}:{node.lineno} imports {name}"
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            safely = [word.value for word in node.keywords if word.arg == "weights_only"]
            is_unsafe = name in RUNS_WHAT_A_FILE_SAYS or any(ast.unparse(value) != "True" for value in safely)
            if is_unsafe or (name == "torch.load" and not safely):
                yield f"{source.name}:{node.lineno} calls {name}; torch.load needs weights_only=True"


def too_long(source) -> Iterator[str]:
    if (lines := len(source.text.splitlines())) > MOST_LINES:
        yield f"{source.name} has {lines} lines, more than {MOST_LINES}; split it by concept"


def named_after_nothing(source) -> Iterator[str]:
    if bad := NAMES_OF_NOTHING.intersection(source.name.split(".")):
        yield f"{source.name} is named {bad.pop()}, which says nothing; name it after what it defines"


def prints(source) -> Iterator[str]:
    if source.name in MAY_PRINT:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
            yield f"{source.name}:{node.lineno} prints; numbers go to a Tracker, words to logging"


GUARDS = [unsafe, too_long, named_after_nothing, prints]


@pytest.mark.parametrize("guard", GUARDS)
def test_the_packages_keep_to(guard, sources):
    assert [line for source in sources for line in guard(source)] == []


@pytest.mark.parametrize(
    ("guard", "name", "text"),
    [
        (unsafe, "tasks.cache", "import pickle\npickle.load(file)"),
        (unsafe, "tasks.cache", "from pickle import loads"),
        (unsafe, "tasks.cache", "torch.load(path)"),
        (unsafe, "tasks.cache", "torch.load(path, weights_only=False)"),
        (unsafe, "tasks.cache", "load(path, weights_only=trusted)"),
        (unsafe, "tasks.cache", "genotype = eval(text)"),
        (unsafe, "tasks.cache", "yaml.load(text, Loader=yaml.Loader)"),
        (too_long, "tasks.cache", "\n" * (MOST_LINES + 1)),
        (named_after_nothing, "metanas.utils", ""),
        (named_after_nothing, "metanas.common.tree", ""),
        (prints, "metanas.run.search", "def search():\n    print('step 1')"),
    ],
)
def test_a_lapse_is_found(guard, module, name, text):
    assert len(list(guard(module(name, text)))) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tasks.cache", "net.eval()\ntorch.load(path, weights_only=True)\nyaml.safe_load(text)"),
        ("tasks.cache", '"""Never call eval(text)."""\n'),
        ("metanas.cli", "print('done')"),
    ],
)
def test_what_is_fine_is_left_alone(module, name, text):
    assert [line for guard in GUARDS for line in guard(module(name, text))] == []


def without_init(sources) -> list[str]:
    """Folders with modules and no `__init__`: mypy and doctest would know what is in them by another name."""
    packages = {source.name for source in sources if source.is_package}
    folders = {source.name.rpartition(".")[0] for source in sources}
    return sorted(folders - packages - {""})


def test_every_folder_of_modules_is_a_package(sources):
    assert without_init(sources) == []


def test_a_folder_without_init_is_found(module):
    tree = [module("metanas", "", is_package=True), module("metanas.meta.maml", "")]
    assert without_init(tree) == ["metanas.meta"]
