"""The snippets of docs/data.md that need no download and write nothing, run as they stand."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "data.md"
TITLES = ("Torch data sets", "learn2learn", "Augmentation")


def snippet(title: str) -> str:
    """The Python block of a section."""
    section = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert section, f"no section {title}"
    (block,) = re.findall(r"^```python\n(.*?)^```", section[1], re.DOTALL | re.MULTILINE)
    return block


@pytest.mark.parametrize("title", TITLES)
def test_a_snippet_runs(
    title: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if title == "learn2learn":
        request.getfixturevalue("learn2learn")
    exec(compile(snippet(title), str(PAGE), "exec"), {})
    assert list(tmp_path.iterdir()) == []


def test_a_snippet_that_fails_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "data.md"
    page.write_text("## Broken\n\n```python\nraise KeyError\n```\n", encoding="utf-8")
    monkeypatch.setattr(f"{__name__}.PAGE", page)
    with pytest.raises(KeyError):
        exec(snippet("Broken"), {})
