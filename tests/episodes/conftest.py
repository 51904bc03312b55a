import pytest

from tasks import Dataset
from tasks.sources.glyphs import glyphs


@pytest.fixture(scope="session")
def glyph_data() -> Dataset:
    return glyphs()
