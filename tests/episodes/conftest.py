from types import ModuleType

import pytest

from tasks import Dataset
from tasks.sources.glyphs import glyphs


@pytest.fixture(scope="session")
def glyph_data() -> Dataset:
    return glyphs()


@pytest.fixture(scope="session")
def learn2learn() -> ModuleType:
    """The library; without it the test is skipped."""
    from tasks._compat import torchvision  # noqa: F401 - learn2learn imports torchvision itself

    return pytest.importorskip("learn2learn", reason="learn2learn is not installed; sh scripts/setup.sh installs it")
