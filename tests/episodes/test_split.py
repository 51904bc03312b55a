"""Divisions of classes: as published, and dealt out at random."""

from tasks.sources.glyphs import script_split
from tasks.sources.omniglot import vinyals_split
from tasks.split import SPLITS, ClassSplit, random_split


def test_a_random_split_deals_out_the_same_classes_in_lists_as_long() -> None:
    for published in (vinyals_split(), script_split(), ClassSplit(("a",), (), ("b", "c"))):
        found = random_split(published)
        assert [len(found[name]) for name in SPLITS] == [len(published[name]) for name in SPLITS]
        assert {c for name in SPLITS for c in found[name]} == {c for name in SPLITS for c in published[name]}


def test_it_is_always_the_same_whatever_the_order_of_the_published_lists() -> None:
    published = vinyals_split()
    turned = ClassSplit(*(published[name][::-1] for name in SPLITS))
    assert random_split(published) == random_split(turned) == random_split(random_split(published))


def test_characters_of_one_alphabet_are_in_all_lists() -> None:
    def alphabets(classes: tuple[str, ...]) -> set[str]:
        return {name.split("/")[1] for name in classes}

    published = vinyals_split()
    found = random_split(published)
    assert len(alphabets(published.test)) == 13
    assert len(alphabets(found.test)) == 50
    assert alphabets(found.test) <= alphabets(found.train)
