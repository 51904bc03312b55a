"""The DARTS space: its published size, its stack, and what it shares with the few-shot space."""

import pytest
import torch

from metanas.errors import ConfigError
from metanas.spaces.darts import Darts, stacked_kinds
from metanas.spaces.network import CellNetwork
from tasks.episode import TaskSpec

CIFAR = TaskSpec(10, 1, 1, (3, 32, 32))


def test_published_supernet_has_1930618_weights() -> None:
    assert sum(p.numel() for p in Darts().supernet(CIFAR).parameters()) == 1_930_618


def test_logits_are_two_tables_of_fourteen_edges_and_eight_operations() -> None:
    assert {kind: tuple(table.shape) for kind, table in Darts().logits().items()} == {
        "normal": (14, 8),
        "reduction": (14, 8),
    }


@pytest.mark.parametrize(("cells", "reductions"), [(3, (1, 2)), (8, (2, 5)), (14, (4, 9)), (20, (6, 13))])
def test_reductions_stand_at_one_and_two_thirds(cells: int, reductions: tuple[int, int]) -> None:
    kinds = stacked_kinds(cells)
    assert len(kinds) == cells
    assert tuple(i for i, kind in enumerate(kinds) if kind == "reduction") == reductions


def test_reductions_halve_the_map_and_double_the_width() -> None:
    net = Darts(width=4, nodes=2).supernet(CIFAR)
    assert isinstance(net, CellNetwork)
    shapes: list[torch.Size] = []
    for cell in net.cells:
        cell.register_forward_hook(lambda module, inputs, output: shapes.append(output.shape))
    net(torch.empty(2, *CIFAR.image, device="meta"), None)
    assert [tuple(shape[1:]) for shape in shapes] == [(8, 32, 32)] * 2 + [(16, 16, 16)] * 3 + [(32, 8, 8)] * 3


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"width": 3}, "space.width must be even and at least 2, got 3"),
        ({"nodes": 0}, "space.nodes must be in 1..8, got 0"),
        ({"stack": 2}, "space.cells must be in 3..64 for space.kind=darts, got 2"),
    ],
)
def test_impossible_sizes_are_refused(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Darts(**sizes)
