"""Images in rows of a table: other memory, the same images and floats."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import ImageBank
from tasks.cache import cached
from tasks.stream import stream
from tasks.table import images_in, look_up, table_of, tabled


def noise(n: int, *image: int) -> torch.Tensor:
    return torch.randint(256, (n, *image), generator=stream(0, "noise", n), dtype=torch.uint8)


def test_every_byte_becomes_what_division_makes_of_it() -> None:
    bytes_of = torch.arange(256).byte().view(256, 1, 1, 1)
    table = table_of(tabled([bytes_of]))
    assert table is not None
    found = look_up(table, torch.arange(256))
    assert torch.equal(found.flatten(), bytes_of.flatten() / 255)
    # Why the scale is not 1 / 255: a product with the rounded quotient is often another number.
    assert not torch.equal(bytes_of * torch.tensor(1 / 255), bytes_of / 255)


@settings(max_examples=60, deadline=None, database=None)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.tuples(st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9)),
    st.data(),
)
def test_a_table_holds_the_images(lengths: list[int], image: tuple[int, int, int], data: st.DataObject) -> None:
    parts = [noise(n, *image) for n in lengths]
    images = tabled(parts)
    whole = torch.cat(parts)
    assert torch.equal(images, whole)
    table = table_of(images)
    assert table is not None
    assert torch.equal(images_in(table, image), whole)
    rows = torch.tensor(data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=9)), dtype=torch.int64)
    assert torch.equal(look_up(table, rows).view(-1, *image), whole[rows].float() / 255)


@pytest.mark.parametrize(
    "images",
    [
        noise(4, 3, 2, 2),
        tabled([noise(4, 3, 2, 2)])[:, :1],
        tabled([noise(4, 1, 2, 2)]).expand(-1, 3, -1, -1),
        tabled([noise(4, 3, 2, 2)]).to("meta"),
        noise(4, 20)[:, :12].unflatten(1, (3, 2, 2)),  # laid out like a table, with other bytes at the rows' ends
        noise(1, 20).flatten()[:19].as_strided((1, 3, 2, 2), (20, 4, 2, 1)),
    ],
    ids=["contiguous", "one channel", "expanded", "meta", "other ends", "short"],
)
def test_what_lies_otherwise_is_no_table(images: torch.Tensor) -> None:
    assert table_of(images) is None


def test_floats_are_the_same_wherever_the_images_lie(tmp_path: Path) -> None:
    parts = {f"c{i}": noise(4 + i, 3, 5, 4) for i in range(3)}
    made = ImageBank.from_classes("made", parts)
    plain = replace(made, pixels=made.pixels.contiguous())
    read = cached(tmp_path, "made", {}, lambda: plain)
    rows = torch.tensor([0, 14, 3, 3])
    expected = plain.pixels[rows].float() / 255
    assert table_of(plain.pixels) is None
    assert torch.equal(plain.floats(rows), expected)
    for bank in (made, read, made.shared(), made.select("some", [torch.arange(15)] * 3)):
        assert table_of(bank.pixels) is not None
        assert torch.equal(bank.floats(rows), expected)
        assert torch.equal(pickle.loads(pickle.dumps(bank)).floats(rows), expected)


def test_doubles_are_not_looked_up() -> None:
    bank = ImageBank.from_classes("made", {"a": torch.arange(256).byte().view(256, 1, 1, 1)})
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(bank.floats(torch.arange(256)).flatten(), torch.arange(256, dtype=torch.float64) / 255)
    finally:
        torch.set_default_dtype(before)
