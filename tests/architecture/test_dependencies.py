"""Every dependency has a range in pyproject.toml, a pin in constraints.txt, a reason in the documentation."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@pytest.fixture(scope="module")
def requirements(root) -> list[Requirement]:
    """All that pyproject.toml asks for, the extras too."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return [Requirement(line) for group in groups for line in group]


@pytest.fixture(scope="module")
def pins(root) -> list[str]:
    lines = (root / "constraints.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def page(root) -> str:
    return (root / "docs" / "dependencies.md").read_text()


def lapses(requirements: list[Requirement], pins: list[str], page: str) -> Iterator[str]:
    pinned = {canonicalize_name(name): version for name, version in (line.split("==") for line in pins)}
    rows = {canonicalize_name(name) for name in re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)}
    for requirement in requirements:
        name = canonicalize_name(requirement.name)
        if name not in rows:
            yield f"{name} has no row in docs/dependencies.md"
        if name not in pinned:
            yield f"{name} has no pin in constraints.txt"
        elif not requirement.specifier.contains(pinned[name]):
            yield f"{name} is pinned to {pinned[name]}, outside of {requirement.specifier}"
        if not any(part.operator in ("<", "==") for part in requirement.specifier):
            yield f"{name} has no upper bound in pyproject.toml"
    for row in sorted(rows - {canonicalize_name(requirement.name) for requirement in requirements}):
        yield f"{row} has a row in docs/dependencies.md and is no dependency"


def test_each_dependency_has_a_range_a_pin_and_a_reason(requirements, pins, page):
    assert list(lapses(requirements, pins, page)) == []


@pytest.mark.parametrize(
    ("requirement", "pin", "row", "lapse"),
    [
        ("torch>=2.6,<3", "torch==2.13.0", "", "torch has no row in docs/dependencies.md"),
        ("torch>=2.6,<3", "", "| `torch` |", "torch has no pin in constraints.txt"),
        ("torch>=2.6,<3", "torch==2.5.1", "| `torch` |", "torch is pinned to 2.5.1, outside of <3,>=2.6"),
        ("torch>=2.6", "torch==2.13.0", "| `torch` |", "torch has no upper bound in pyproject.toml"),
    ],
)
def test_a_lapse_is_found(requirement, pin, row, lapse):
    assert list(lapses([Requirement(requirement)], [pin] if pin else [], row)) == [lapse]


def undeclared(sources, requirements: list[Requirement]) -> set[str]:
    """What the packages import from outside and no line of pyproject.toml names."""
    names = set()
    for node in (node for source in sources for node in ast.walk(source.tree)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    declared = {canonicalize_name(requirement.name) for requirement in requirements}
    providers = packages_distributions()
    return {
        name
        for name in names - sys.stdlib_module_names - {"tasks", "metanas"}
        if not declared.intersection(canonicalize_name(provider) for provider in providers.get(name, []))
    }


def test_what_is_imported_is_declared(sources, requirements):
    assert undeclared(sources, requirements) == set()


def test_an_import_of_an_indirect_package_is_found(module):
    source = module("tasks.cache", "import json, yaml.nodes\nfrom torch import nn\nfrom .bank import ImageBank")
    assert undeclared([source], [Requirement("torch")]) == {"yaml"}


def test_constraints_are_exact_and_fit_any_build(pins):
    assert [line for line in pins if not re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9.]+", line)] == []


@pytest.mark.parametrize("line", ["torch==2.13.0+cpu", "torch>=2.6", "-e .", "metanas @ file:///tmp"])
def test_a_line_that_installs_nowhere_else_is_found(line):
    assert not re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9.]+", line)
