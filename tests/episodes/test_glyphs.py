import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tasks import DataError, Dataset, EpisodeSampler, TaskSpec
from tasks.sources.faces import FACES, code_points, draw, face_path, faces_of
from tasks.sources.glyphs import PER_CLASS, characters, draw_classes, glyphs
from tasks.split import SPLITS

SCRIPT = Path(__file__).parents[2] / "scripts" / "glyph_list.py"
SAMPLE = {name: code for split in SPLITS for name, code in list(characters()[split].items())[::60]}


@pytest.fixture(scope="module")
def rules() -> ModuleType:
    spec = importlib.util.spec_from_file_location("glyph_list", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def digest(codes: dict[str, int]) -> str:
    return hashlib.sha256(draw_classes(codes, 14, 5).pixels.numpy().tobytes()).hexdigest()


def test_there_are_about_1500_classes() -> None:
    counts = {split: len(listed) for split, listed in characters().items()}
    assert counts == {"train": 1224, "validation": 75, "test": 177}


def test_scripts_are_disjoint_between_splits() -> None:
    scripts = {split: {name.split("/")[0] for name in listed} for split, listed in characters().items()}
    assert scripts["validation"] == {"Greek"}
    assert scripts["test"] == {"Armenian", "Georgian", "Lao"}
    assert not scripts["train"] & (scripts["validation"] | scripts["test"])
    assert {"Latin", "Cyrillic", "Arrows", "Mathematics"} <= scripts["train"]


def test_every_listed_character_has_six_faces_that_draw_it(rules: ModuleType) -> None:
    codes = [code for listed in characters().values() for code in listed.values()]
    assert min(len(faces_of(code)) for code in codes) >= rules.LEAST_FACES == 6
    assert all(rules.group(code) for code in codes)


def test_no_two_listed_characters_look_alike(rules: ModuleType) -> None:
    codes = [code for listed in characters().values() for code in listed.values()]
    alike = rules.likeness(codes).fill_diagonal_(-1)
    assert float(alike.max()) < rules.LIMIT


def test_the_look_alike_rule_finds_look_alikes(rules: ModuleType) -> None:
    # Latin A, Cyrillic A, Greek Alpha; then Latin O, Greek Omicron, Armenian Oh; then Latin B.
    assert rules.distinct([0x41, 0x410, 0x391, 0x4F, 0x39F, 0x555, 0x42]) == [0, 3, 6]


@pytest.mark.slow
def test_the_list_is_what_its_script_writes() -> None:
    assert subprocess.run([sys.executable, str(SCRIPT), "--check"], check=False).returncode == 0


def test_no_box_for_the_unknown_is_drawn() -> None:
    unknown = 0x10FFFF
    for name, code in SAMPLE.items():
        for face in faces_of(code):
            assert not torch.equal(draw(code, face, 28, 0.7), draw(unknown, face, 28, 0.7)), (name, face)
    assert not any(unknown in code_points(face) for face in FACES)


def test_a_missing_face_is_named() -> None:
    with pytest.raises(DataError, match=r"expected the font Comic.ttf of matplotlib, got none"):
        face_path("Comic")


def test_a_character_without_a_face_is_named() -> None:
    with pytest.raises(DataError, match=r"expected a font that can draw U\+10FFFF, got none in matplotlib"):
        draw_classes({"Nothing/U+10FFFF": 0x10FFFF}, 14, 0)


def test_images_are_bright_ink_on_black_and_whole(glyph_data: Dataset) -> None:
    pixels = glyph_data.bank.pixels
    assert glyph_data.bank.image == (1, 28, 28)
    assert set(glyph_data.bank.counts.tolist()) == {PER_CLASS}
    assert float(pixels.flatten(1).amax(1).float().quantile(0.001)) > 100
    assert float(pixels.float().mean()) < 0.25 * 255
    border = torch.cat([pixels[:, 0, 0], pixels[:, 0, -1], pixels[:, 0, :, 0], pixels[:, 0, :, -1]], dim=1)
    assert int(border.max()) == 0  # nothing is cut off


def test_the_images_of_a_class_differ(glyph_data: Dataset) -> None:
    for name in SAMPLE:
        assert len(torch.unique(glyph_data.bank.images_of(name), dim=0)) == PER_CLASS


def test_a_class_does_not_depend_on_its_neighbours(glyph_data: Dataset) -> None:
    names = list(SAMPLE)[5:8]
    alone = draw_classes({name: SAMPLE[name] for name in names}, 28, 0)
    for name in names:
        assert torch.equal(alone.images_of(name), glyph_data.bank.images_of(name))


def test_another_seed_is_another_drawing() -> None:
    name, code = next(iter(SAMPLE.items()))
    assert not torch.equal(draw_classes({name: code}, 28, 0).pixels, draw_classes({name: code}, 28, 1).pixels)


def test_another_process_draws_the_same_episodes() -> None:
    codes = dict(list(SAMPLE.items())[:5])
    lines = (
        "from tasks import EpisodeSampler, TaskSpec",
        "from tasks.sources.glyphs import draw_classes",
        f"sampler = EpisodeSampler(draw_classes({codes!r}, 14, 5), TaskSpec(5, 2, 3, (1, 14, 14)), 11)",
        "seen = b''.join(batch.x.numpy().tobytes() for i in (0, 1, 1000) for batch in sampler[i])",
        "print(__import__('hashlib').sha256(seen).hexdigest())",
    )
    ran = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    sampler = EpisodeSampler(draw_classes(codes, 14, 5), TaskSpec(5, 2, 3, (1, 14, 14)), 11)
    seen = b"".join(batch.x.float().numpy().tobytes() for i in (0, 1, 1000) for batch in sampler[i])
    assert ran.stdout.strip() == hashlib.sha256(seen).hexdigest()


def test_the_default_dtype_changes_no_pixel() -> None:
    codes = dict(list(SAMPLE.items())[:2])
    single, before = digest(codes), torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        assert digest(codes) == single
    finally:
        torch.set_default_dtype(before)


def test_test_episodes_are_hard_but_not_hopeless_for_raw_pixels(glyph_data: Dataset) -> None:
    sampler = EpisodeSampler(glyph_data["test"], TaskSpec(5, 1, 15, (1, 28, 28)), 1)
    right = []
    for i in range(300):
        episode = sampler[i]
        distances = torch.cdist(episode.query.x.flatten(1), episode.support.x.flatten(1))
        right.append((episode.support.y[distances.argmin(1)] == episode.query.y).double().mean())
    assert 0.40 < float(torch.stack(right).mean()) < 0.50


def test_a_tiny_resolution_is_refused() -> None:
    with pytest.raises(DataError, match="glyphs need a resolution of at least 8 pixels, got 7; try 28"):
        glyphs(resolution=7)
