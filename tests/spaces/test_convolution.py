"""Our convolutions are the library's, in value and in every derivative up to the third."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from metanas.spaces.convolution import convolve, slide


def draw(*shape: int, seed: int) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=rng, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("size", [(9, 12), (13, 10)], ids=str)
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (5, 1), (3, 2), (5, 2), (7, 1)])
@pytest.mark.parametrize("stride", [1, 2])
def test_equals_the_library_up_to_the_third_derivative(
    size: tuple[int, int], kernel: int, dilation: int, stride: int
) -> None:
    x, weight = draw(2, 3, *size, seed=0), draw(3, 1, kernel, kernel, seed=1)
    fast, plain = slide(x, weight, stride, dilation), library(x, weight, stride, dilation, 3)
    assert_equal_derivatives(fast, plain, [x, weight])


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (1, 5)], ids=str)
@pytest.mark.parametrize(("groups", "channels_in", "channels_out"), [(1, 3, 2), (2, 4, 6), (3, 3, 6)])
@pytest.mark.parametrize("stride", [1, 2])
def test_equals_the_library_whatever_the_groups(
    kernel: tuple[int, int], groups: int, channels_in: int, channels_out: int, stride: int
) -> None:
    x, weight = draw(2, channels_in, 7, 6, seed=6), draw(channels_out, channels_in // groups, *kernel, seed=7)
    fast, plain = convolve(x, weight, stride, 1, groups), library(x, weight, stride, 1, groups)
    assert_equal_derivatives(fast, plain, [x, weight])


def library(x: Tensor, weight: Tensor, stride: int, dilation: int, groups: int) -> Tensor:
    padding = [dilation * (side // 2) for side in weight.shape[2:]]
    return F.conv2d(x, weight, None, stride, padding, dilation, groups)


def assert_equal_derivatives(fast: Tensor, plain: Tensor, of: list[Tensor]) -> None:
    fast_found, plain_found = derivatives(fast, of), derivatives(plain, of)
    assert plain_found[-1].abs().max() > 1e-6
    for a, b in zip(fast_found, plain_found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def derivatives(out: Tensor, of: list[Tensor]) -> list[Tensor]:
    """The value, then the gradients of three orders."""
    found, value = [out], out.sin().sum()
    for _ in range(3):
        gradient = torch.autograd.grad(value, of, create_graph=True)
        found += gradient
        value = sum((g.sin() / g.numel()).sum() for g in gradient)  # type: ignore[assignment]
    return found


def test_agrees_with_finite_differences() -> None:
    x, weight = draw(1, 2, 5, 6, seed=2), draw(2, 1, 5, 5, seed=3)
    assert torch.autograd.gradcheck(lambda x, w: slide(x, w, 1, 2), (x, weight))
    assert torch.autograd.gradgradcheck(lambda x, w: slide(x, w, 1, 2), (x, weight))


@pytest.mark.parametrize("is_kernel", [True, False])
def test_a_gradient_that_nobody_wants_is_not_computed(is_kernel: bool) -> None:
    """Kernels rest in half of a search step: their gradient is the dearest of the three."""
    x, weight = draw(1, 2, 9, 9, seed=4), draw(2, 1, 5, 5, seed=5)
    wanted, other = (weight, x.detach()) if is_kernel else (x, weight.detach())
    pair = (other, wanted) if is_kernel else (wanted, other)
    with torch.profiler.profile() as watched:
        torch.autograd.grad(slide(*pair, 1, 1).sum(), wanted)
    called = {event.key for event in watched.key_averages()}
    assert ("_KernelGradient" in called) is is_kernel
    assert ("_InputGradient" in called) is not is_kernel
