"""A derived cell against a plain one: DARTS's definition written once more, from `torch.nn.functional` alone."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from metanas.errors import ConfigError, GenotypeError
from metanas.networks.cell import Cell
from metanas.networks.ops import OPS
from metanas.spaces.cell_genotype import OPERATIONS, CellGraph
from metanas.spaces.space import CellEdge
from tasks.stream import stream

EVERY_OP = CellGraph(
    tuple(CellEdge(i % (2 + i // 2), 2 + i // 2, op) for i, op in enumerate((*OPERATIONS, "skip_connect"))), (3, 2, 6)
)
WIDTH = 4


def plain_cell(graph: CellGraph, w: dict[str, Tensor], s0: Tensor, s1: Tensor, *, reduction: bool, after: bool):
    """The cell from its weights by name; norms use the running statistics in `w`."""

    def norm(x: Tensor, name: str) -> Tensor:
        mean, var = w[f"{name}.running_mean"], w[f"{name}.running_var"]
        x = (x - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()
        return x * w[f"{name}.weight"][:, None, None] + w[f"{name}.bias"][:, None, None]

    def squeeze(x: Tensor, name: str) -> Tensor:
        return norm(F.conv2d(x.clamp(min=0), w[f"{name}.1.weight"]), f"{name}.2")

    def halve(x: Tensor, name: str) -> Tensor:
        x = x.clamp(min=0)
        even = F.conv2d(x[:, :, ::2, ::2], w[f"{name}.even.weight"])
        odd = F.conv2d(x[:, :, 1::2, 1::2], w[f"{name}.odd.weight"])
        return norm(torch.cat([even, odd], 1), f"{name}.norm")

    def block(x: Tensor, name: str, first: int, kernel: int, stride: int, dilation: int) -> Tensor:
        depthwise, pointwise = w[f"{name}.{first}.weight"], w[f"{name}.{first + 1}.weight"]
        reach = dilation * (kernel - 1) // 2
        x = F.pad(x.clamp(min=0), (reach,) * 4)
        planes = [F.conv2d(x[:, c : c + 1], depthwise[c : c + 1], None, stride, 0, dilation) for c in range(x.shape[1])]
        return norm(torch.einsum("nchw,oc->nohw", torch.cat(planes, 1), pointwise[:, :, 0, 0]), f"{name}.{first + 2}")

    def mean_without_padding(x: Tensor, stride: int) -> Tensor:
        total = F.avg_pool2d(F.pad(x, (1,) * 4), 3, stride) * 9
        count = F.avg_pool2d(F.pad(torch.ones_like(x), (1,) * 4), 3, stride) * 9
        return total / count

    def apply(op: str, x: Tensor, name: str, stride: int) -> Tensor:
        if op == "skip_connect":
            return x if stride == 1 else halve(x, name)
        if op == "max_pool_3x3":
            return F.max_pool2d(F.pad(x, (1,) * 4, value=-torch.inf), 3, stride)
        if op == "avg_pool_3x3":
            return mean_without_padding(x, stride)
        if op == "conv_7x1_1x7":
            x = F.conv2d(F.pad(x.clamp(min=0), (3, 3, 0, 0)), w[f"{name}.1.weight"], stride=(1, stride))
            return norm(F.conv2d(F.pad(x, (0, 0, 3, 3)), w[f"{name}.2.weight"], stride=(stride, 1)), f"{name}.3")
        family, _, size = op.split("_")
        kernel = int(size[0])
        if family == "dil":
            return block(x, name, 1, kernel, stride, 2)
        return block(block(x, name, 1, kernel, stride, 1), name, 5, kernel, 1, 1)

    states = [halve(s0, "input0") if after else squeeze(s0, "input0"), squeeze(s1, "input1")]
    for node in range(len(graph.edges) // 2):
        pair = [
            apply(edge.op, states[edge.source], f"edges.{i}", 2 if reduction and edge.source < 2 else 1)
            for i, edge in enumerate(graph.edges)
            if edge.target == node + 2
        ]
        states.append(pair[0] + pair[1])
    return torch.cat([states[node] for node in graph.concat], 1)


def random_weights(cell: Cell) -> dict[str, Tensor]:
    rng = stream(0, "weights")
    weights = {
        name: torch.rand(t.shape, generator=rng, dtype=torch.float64) + (0.5 if name.endswith("var") else -0.3)
        for name, t in cell.state_dict().items()
        if t.is_floating_point()
    }
    cell.load_state_dict(weights, strict=False)
    return weights


@pytest.mark.parametrize(("reduction", "after"), [(False, False), (True, False), (False, True)])
def test_equals_the_plain_cell(reduction: bool, after: bool) -> None:
    cell = Cell(EVERY_OP, (6, 8, WIDTH), reduction=reduction, after_reduction=after).double().eval()
    weights = random_weights(cell)
    rng = stream(0, "images")
    s0 = torch.randn(2, 6, *((16, 16) if after else (8, 8)), generator=rng, dtype=torch.float64)
    s1 = torch.randn(2, 8, 8, 8, generator=rng, dtype=torch.float64)
    expected = plain_cell(EVERY_OP, weights, s0, s1, reduction=reduction, after=after)
    assert expected.shape == (2, 3 * WIDTH, *((4, 4) if reduction else (8, 8)))
    torch.testing.assert_close(cell(s0, s1), expected, rtol=1e-10, atol=1e-10)


def test_the_graph_of_these_tests_has_every_operation_at_both_strides() -> None:
    assert {edge.op for edge in EVERY_OP.edges} == set(OPS) == set(OPERATIONS)


def test_norms_have_scale_shift_and_running_statistics_and_pools_have_no_norm() -> None:
    cell = Cell(EVERY_OP, (6, 8, WIDTH), reduction=False, after_reduction=False)
    norms = [module for module in cell.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert len(norms) == 2 + 2 * 3 + 2 + 1  # inputs, separable, dilated, 7x1
    assert all(norm.affine and norm.track_running_stats for norm in norms)


@pytest.mark.parametrize("size", [(7, 7), (8, 5)])
def test_odd_maps_are_halved_upwards(size: tuple[int, int]) -> None:
    cell = Cell(EVERY_OP, (6, 8, WIDTH), reduction=True, after_reduction=True).eval()
    larger = tuple(2 * length - 1 for length in size)
    out = cell(torch.rand(1, 6, *larger), torch.rand(1, 8, *size))
    assert out.shape[2:] == tuple((length + 1) // 2 for length in size)


def test_impossible_cells_are_refused() -> None:
    with pytest.raises(GenotypeError, match=r"reduce_concat: expected nodes out of 2..6"):
        Cell(EVERY_OP._replace(concat=(7,)), (6, 8, 4), reduction=True, after_reduction=False)
    with pytest.raises(ConfigError, match="must be even and at least 2, got 3"):
        Cell(EVERY_OP, (6, 8, 3), reduction=False, after_reduction=False)
