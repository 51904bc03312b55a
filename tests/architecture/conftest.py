"""The source files of both packages, parsed once."""

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Source:
    """A module, as text and as a tree."""

    name: str
    """Dotted, e.g. `metanas.meta.maml`; a package's `__init__` has the package's name."""
    is_package: bool
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)


def read(path: Path) -> Source:
    parts = path.relative_to(ROOT).with_suffix("").parts
    is_package = parts[-1] == "__init__"
    return Source(".".join(parts[:-1] if is_package else parts), is_package, path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def sources() -> list[Source]:
    """Every module of `tasks` and `metanas`."""
    files = [path for package in ("tasks", "metanas") for path in sorted((ROOT / package).rglob("*.py"))]
    assert len(files) > 10, "the walk finds next to nothing: is it looking in the right place?"
    return [read(path) for path in files]


@pytest.fixture(scope="session")
def module():
    """Make a module out of a few lines, to show a guard what it should refuse."""

    def make(name: str, text: str, is_package: bool = False) -> Source:
        return Source(name, is_package, text)

    return make
