"""The data sets that a configuration can name, and which of them are here."""

import os.path

from tasks.card import Card
from tasks.catalogue import CARDS
from tasks.data_root import find_data_root

HEADINGS = ("source", "train / validation / test", "images", "image", "download", "licence", "where")


def listing(configured: str | None) -> str:
    """A table with a line for each source, then how to get what is missing; looks only at which folders exist.

    Args:
        configured: the value of `data.root`.
    """
    root = find_data_root(configured)
    found = {name: card.find(root) if root else None for name, card in CARDS.items()}
    rows = [HEADINGS, *((name, *_facts(card), _where(card, found[name])) for name, card in CARDS.items())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    remedies = [f"to get {name}: {card.origin}" for name, card in CARDS.items() if card.layouts and not found[name]]
    return "\n".join([f"data directory: {root or 'none; set data.root=DIR or METANAS_DATA'}", *lines, *remedies])


def _facts(card: Card) -> tuple[str, ...]:
    """What is known about any copy of the data set: the columns between its name and where it is."""
    side = card.side or "any"
    return (
        _division(card),
        f"{card.images:,}" if card.images else "yours",
        f"{' or '.join(map(str, card.channels))} x {side} x {side}",
        f"{card.megabytes} MB" if card.megabytes else "by hand" if card.layouts else "none",
        card.licence,
    )


def _division(card: Card) -> str:
    """How many classes each split has, or how many all have in common."""
    if card.shared:
        return f"{card.shared}, by image"
    return " / ".join(map(str, card.classes)) if card.classes else "yours"


def _where(card: Card, found: tuple[str, ...] | None) -> str:
    """Whether the images are there, and the folder below the data directory that holds them."""
    if not card.layouts:
        return card.origin
    layouts = [found] if found else card.layouts
    folders = dict.fromkeys(os.path.commonpath(layout) for layout in layouts)
    return f"{'present' if found else 'missing'}: {' or '.join(folders)}"
