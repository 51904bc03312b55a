"""Folding: several tasks in one call are each task by itself."""

import pytest
import torch
from torch import nn
from torch.func import functional_call

from metanas.spaces.conv import fold
from metanas.spaces.depthwise import Depthwise
from metanas.spaces.nas_bench_201 import OPS as NAS_BENCH_201_OPS
from metanas.spaces.ops import OPS, FactorizedReduce, ReluConvNorm
from metanas.spaces.staged import ConvStem, ResidualBlock

TASKS, C = 3, 4
MODULES = {
    **{f"{name}/{stride}": build(C, stride) for name, build in OPS.items() for stride in (1, 2)},
    "relu_conv_norm": ReluConvNorm(C, 6),
    "factorized_reduce": FactorizedReduce(C, 6),
    "strided 3x3 with scale and shift": ReluConvNorm(C, 6, 3, stride=2, affine=True),
    "pool without a norm": NAS_BENCH_201_OPS["avg_pool_3x3"](C, 1),
    "residual_block": ResidualBlock(C, 6),
    "conv_stem": ConvStem(C, 6),
}


def draw(module: nn.Module, tasks: int) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(tasks, *p.shape, generator=rng, dtype=torch.float64) for name, p in module.named_parameters()
    }


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("name", MODULES)
def test_folded_tasks_equal_single_tasks(name: str, size: int) -> None:
    module = MODULES[name]
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(TASKS, 5, C, size, size, generator=rng, dtype=torch.float64)
    weights = draw(module, TASKS)
    folded = functional_call(module, weights, (fold(x), 2))
    single = [functional_call(module, {k: w[t] for k, w in weights.items()}, (x[t], 2)) for t in range(TASKS)]
    torch.testing.assert_close(folded, torch.cat(single, dim=1), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(7, 7), (8, 5), (3, 3), (1, 2)])
def test_a_depthwise_convolution_by_matrices_is_the_convolution(
    kernel: int, dilation: int, stride: int, size: tuple[int, int]
) -> None:
    layer = Depthwise(C, kernel, stride=stride, dilation=dilation)
    rng = torch.Generator().manual_seed(2)
    x = torch.randn(5, 2 * C, *size, generator=rng, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, *layer.weight.shape, generator=rng, dtype=torch.float64, requires_grad=True)

    def derivatives(call: str) -> list[torch.Tensor]:
        layer.forward = getattr(super(Depthwise, layer) if call == "forward" else layer, call)  # type: ignore[method-assign]
        out = functional_call(layer, {"weight": weight}, (x,))
        first = torch.autograd.grad(out.pow(3).sum(), [x, weight], create_graph=True)
        second = torch.autograd.grad(sum(g.square().sum() for g in first), [x, weight])
        return [out, *first, *second]

    for a, b in zip(derivatives("as_matrices"), derivatives("forward"), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_odd_channels_of_a_reduction_are_refused() -> None:
    with pytest.raises(ValueError, match="channels_out must be even, got 5"):
        FactorizedReduce(4, 5)
