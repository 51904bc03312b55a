"""The data sets on the command line: which there are, and which may go together."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from PIL import Image

from metanas.run.demo import write_example
from tasks.catalogue import CARDS, IMAGE_READERS, READERS, SourceName
from tasks.sources.cifar100 import FOLDERS

COLOURS = ["data.source=cifar_fs", "data.channels=3", "meta.iterations=1", "meta.validate_every=0"]


def test_every_source_has_a_card_and_a_builder() -> None:
    assert list(get_args(SourceName)) == list(CARDS)
    assert set(CARDS) - set(READERS) - set(IMAGE_READERS) == {"glyphs", "folder"}
    assert not set(READERS) & set(IMAGE_READERS)


def test_the_list_has_a_line_for_each_source(metanas, tmp_path: Path) -> None:
    (tmp_path / FOLDERS).mkdir(parents=True)
    said = metanas("data", "list", f"data.root={tmp_path}")
    assert (said.code, said.err) == (0, "")
    root, headings, *lines = said.out.splitlines()
    assert root == f"data directory: {tmp_path}"
    assert headings.split("  ")[0] == "source"
    assert [line.split()[0] for line in lines[: len(CARDS)]] == list(CARDS)
    rows = dict(zip(CARDS, (" ".join(line.split()) for line in lines), strict=False))
    assert rows["glyphs"] == "glyphs 1224 / 75 / 177 29,520 1 x any x any none that of the fonts in matplotlib built in"
    assert rows["omniglot"] == "omniglot 1028 / 172 / 423 32,460 1 x 105 x 105 16 MB MIT missing: omniglot-py"
    assert rows["cifar_fs"] == "cifar_fs 64 / 16 / 20 60,000 3 x 32 x 32 169 MB none stated present: cifar100/data"
    assert rows["fc100"] == "fc100 60 / 20 / 20 60,000 3 x 32 x 32 169 MB none stated present: cifar100/data"
    assert rows["tiered_imagenet"] == (
        "tiered_imagenet 351 / 97 / 160 779,165 3 x 84 x 84 by hand ImageNet's: non-commercial research "
        "missing: tiered-imagenet"
    )
    assert rows["vgg_flowers"] == (
        "vgg_flowers 71 / 15 / 16 8,189 3 x any x any 345 MB none stated missing: flowers-102"
    )
    assert rows["svhn"] == "svhn 10, by image 99,289 3 x 32 x 32 246 MB non-commercial use missing: svhn"
    assert rows["gtsrb"] == "gtsrb 0 / 0 / 43 39,209 3 x any x any 276 MB none stated missing: GTSRB"
    assert rows["folder"] == "folder yours yours 1 or 3 x any x any none yours class folders in data.root=DIR"
    missing = [name for name, card in CARDS.items() if card.layouts and name not in ("cifar_fs", "fc100")]
    assert lines[len(CARDS) :] == [f"to get {name}: {CARDS[name].origin}" for name in missing]


def test_the_list_needs_no_data_directory(metanas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("METANAS_DATA", raising=False)
    said = metanas("data", "list")
    assert said.code == 0
    assert said.out.startswith("data directory: none; set data.root=DIR or METANAS_DATA\n")
    assert "missing: cifar-100-python or cifar100/data\n" in said.out
    monkeypatch.setenv("METANAS_DATA", "/from/environment")
    assert metanas("data", "list").out.startswith("data directory: /from/environment\n")


def test_the_list_loads_no_library_that_reads_images() -> None:
    program = (
        "from metanas.cli import app\napp(['data', 'list'], standalone_mode=False)\n"
        "print([name for name in ('torchvision', 'matplotlib', 'wandb') if name in __import__('sys').modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", IMAGE_READERS)
def test_episodes_of_classes_that_training_shows_are_refused(metanas, tmp_path: Path, name: str) -> None:
    overrides = [f"data.source={name}", "data.channels=3", f"data.root={tmp_path}"]
    line = metanas("meta-train", "--out", tmp_path / "run", *overrides).line
    assert f"got {name}, which shows the same 10 classes in training and test; choose one of glyphs, omniglot, " in line
    assert not (tmp_path / "run").exists()


def test_a_folder_has_no_published_classes_to_divide_anew(metanas, tmp_path: Path) -> None:
    overrides = ["data.source=folder", "data.split=random", f"data.root={tmp_path}"]
    line = metanas("meta-train", "--out", tmp_path / "run", *overrides).line
    assert "data.split=random divides published lists of classes anew, and data.source=folder has none" in line


def test_classes_of_a_changed_folder_that_training_has_seen_judge_nothing(
    pictures: Path, metanas, tiny_overrides: list[str], tmp_path: Path
) -> None:
    """Another class divides all of them anew; a run is neither judged by those that it knows, nor continued."""
    root, run = tmp_path / "classes", tmp_path / "run"
    for i in range(20):
        shutil.copytree(pictures / "abc"[i % 3], root / f"c{i:02}")
    folder = ["data.source=folder", f"data.root={root}", "data.drop_duplicates=false", "task.n_way=2"]
    for i, file in enumerate(sorted(root.rglob("*.png"))):  # no two files show the same
        with Image.open(file) as image:
            image.putpixel((i % image.width, i // image.width), 255)
            image.save(file)
    trained = metanas("meta-train", "-q", "--out", run, *tiny_overrides, *folder)
    assert trained.code == 0, trained.err
    assert metanas("evaluate", "-q", run).code == 0
    shutil.copytree(root / "c00", root / "c20")
    for i, file in enumerate(sorted((root / "c20").iterdir())):
        with Image.open(file) as image:
            image.putpixel((image.width - 1 - i, image.height - 1), 200)
            image.save(file)
    assert "the test classes of classes must be unseen, but folder trains on " in metanas("evaluate", "-q", run).line
    line = metanas("meta-train", "-q", "--out", run, "--resume", *tiny_overrides, *folder, "meta.iterations=4").line
    assert "the training classes of classes are others than when the run" in line
    (run / "classes.json").write_text("[")
    assert "expected lists of classes in " in metanas("evaluate", "-q", run).line
    (run / "classes.json").unlink()  # as in runs of before
    assert metanas("meta-train", "-q", "--out", run, "--resume", *tiny_overrides, *folder).code == 0


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

    def test_divided_at_random_is_not_judged_by_the_published_test_classes(
        self, metanas, tiny_overrides: list[str], tmp_path: Path
    ) -> None:
        run = tmp_path / "run"
        assert metanas("meta-train", "-q", "--out", run, *tiny_overrides, *COLOURS, "data.split=random").code == 0
        assert metanas("evaluate", "-q", run).code == 0
        line = metanas("evaluate", "-q", run, "data.split=published").line
        assert "the test classes of cifar_fs must be unseen, but cifar_fs trains on " in line

    def test_what_it_began_with_has_not_seen_held_out_classes_either(
        self, metanas, tiny_overrides: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Through two runs; at once where the classes are its own, and later where they are of another data set."""
        runs = [tmp_path / name for name in ("first", "second", "third")]
        glyphs = ["data.source=glyphs", "data.channels=3"]
        assert metanas("meta-train", "-q", "--out", runs[0], *tiny_overrides, *COLOURS).code == 0
        for before, run in zip(runs, runs[1:], strict=False):
            said = metanas("meta-train", "-q", "--out", run, *tiny_overrides, *COLOURS, *glyphs, f"start={before}")
            assert said.code == 0, said.err
        assert metanas("evaluate", "-q", runs[2]).code == 0
        says = "of fc100 must be unseen, but cifar_fs trains on "
        assert says in metanas("evaluate", "-q", runs[2], "evaluate.sources=[fc100]").line
        fourth = [*tiny_overrides, *COLOURS, "data.source=fc100", f"start={runs[2]}"]
        assert says in metanas("meta-train", "--out", tmp_path / "fourth", *fourth).line
        assert not (tmp_path / "fourth").exists()
        shutil.rmtree(runs[1])
        judged = metanas("evaluate", "-q", runs[2])
        assert judged.code == 0, judged.err
        assert f"start={runs[1]} is gone" in caplog.text

    @pytest.mark.parametrize(("source", "other"), [("cifar_fs", "fc100"), ("fc100", "cifar_fs")])
    def test_is_not_mixed_with_another_division_of_its_images(
        self, metanas, tiny_overrides: list[str], tmp_path: Path, source: str, other: str
    ) -> None:
        overrides = [*tiny_overrides, *COLOURS, f"data.source={source}", f"data.mix=[{other}]"]
        line = metanas("meta-train", "--out", tmp_path / "run", *overrides).line
        assert f"classes of {other} must be unseen, but {source} trains on " in line
        assert "cifar100/" in line
        assert not (tmp_path / "run").exists()

    def test_leaves_an_example_of_varied_tasks(self, tiny, tmp_path: Path) -> None:
        """Their shape is the largest one, for which a class may have too few images: 20 of a glyph."""
        write_example(tiny("task.varied=true", "task.k_shot=10", "evaluate.n_query=15"), tmp_path / "example")
        counts = [
            len(list(folder.iterdir()))
            for part in ("support", "query")
            for folder in (tmp_path / "example" / part).iterdir()
        ]
        assert set(counts) == {10}

    def test_leaves_an_example_in_colours(self, tiny, tmp_path: Path) -> None:
        write_example(tiny(*COLOURS), tmp_path / "example")
        files = sorted((tmp_path / "example" / "support").rglob("*.png"))
        assert len(files) == 5
        assert files[0].parent.name.startswith("cifar100-")
        with Image.open(files[0]) as picture:
            assert (picture.mode, picture.size) == ("RGB", (16, 16))
