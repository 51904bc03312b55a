"""The data sets on the command line: which there are, and which may go together."""

from pathlib import Path
from typing import get_args

import pytest
from PIL import Image

from metanas.run.build import SOURCES
from metanas.run.demo import write_example
from tasks.catalogue import CARDS, SourceName

COLOURS = ["data.source=cifar_fs", "data.channels=3", "meta.iterations=1", "meta.validate_every=0"]


def test_every_source_has_a_card_and_a_builder() -> None:
    assert list(get_args(SourceName)) == list(CARDS) == list(SOURCES)


class TestColours:
    """A run on CIFAR-FS."""

    @pytest.fixture(autouse=True)
    def _here(self, small_cifar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("METANAS_DATA", str(small_cifar))

    def test_is_trained_and_not_judged_by_what_it_has_seen(
        self, metanas, tiny_overrides: list[str], tmp_path: Path
    ) -> None:
        run = tmp_path / "run"
        trained = metanas("meta-train", "-q", "--out", run, *tiny_overrides, *COLOURS)
        assert trained.code == 0, trained.err
        judged = metanas("evaluate", "-q", run)
        assert judged.code == 0, judged.err
        assert "4 episodes of cifar_fs (test classes)" in judged.out
        refused = metanas("evaluate", "-q", run, "data.source=fc100").line
        assert "the test classes of fc100 must be unseen, but cifar_fs trains on " in refused
        assert "cifar100/bee" in refused
        assert metanas("evaluate", "-q", run, "data.source=fc100", "--split", "train").code == 0

    @pytest.mark.parametrize(("source", "other"), [("cifar_fs", "fc100"), ("fc100", "cifar_fs")])
    def test_is_not_mixed_with_another_division_of_its_images(
        self, metanas, tiny_overrides: list[str], tmp_path: Path, source: str, other: str
    ) -> None:
        overrides = [*tiny_overrides, *COLOURS, f"data.source={source}", f"data.mix=[{other}]"]
        line = metanas("meta-train", "--out", tmp_path / "run", *overrides).line
        assert f"classes of {other} must be unseen, but {source} trains on " in line
        assert "cifar100/" in line
        assert not (tmp_path / "run").exists()

    def test_leaves_an_example_in_colours(self, tiny, tmp_path: Path) -> None:
        write_example(tiny(*COLOURS), tmp_path / "example")
        files = sorted((tmp_path / "example" / "support").rglob("*.png"))
        assert len(files) == 5
        assert files[0].parent.name.startswith("cifar100-")
        with Image.open(files[0]) as picture:
            assert (picture.mode, picture.size) == ("RGB", (16, 16))
