"""A sliding depthwise convolution is the library's, in value and in every derivative up to the third."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from metanas.spaces.sliding import slide


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
    padding = dilation * (kernel // 2)

    def derivatives(out: Tensor) -> list[Tensor]:
        found, value = [out], out.sin().sum()
        for _ in range(3):
            gradient = torch.autograd.grad(value, [x, weight], create_graph=True)
            found += gradient
            value = sum((g.sin() / g.numel()).sum() for g in gradient)  # type: ignore[assignment]
        return found

    fast = derivatives(slide(x, weight, stride, dilation))
    plain = derivatives(F.conv2d(x, weight, None, stride, padding, dilation, 3))
    assert plain[-1].abs().max() > 1e-6
    for a, b in zip(fast, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


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
