"""The norm: right to the third derivative, and fused only where that is exact."""

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from metanas.spaces.norm import Norm, standardise


def features(*shape: int) -> Tensor:
    rng = torch.Generator().manual_seed(3)
    return torch.randn(shape, generator=rng, dtype=torch.float64, requires_grad=True)


def derivatives(norm: object, x: Tensor) -> list[Tensor]:
    """Value and first three derivatives of a scalar that bends with the norm's output."""
    ramp = torch.linspace(-1, 1, x.numel(), dtype=x.dtype).view_as(x)
    out = [norm(x)]  # type: ignore[operator]
    value = (out[0].sin() * ramp).sum()
    for _ in range(3):
        (gradient,) = torch.autograd.grad(value, x, create_graph=True)
        out.append(gradient)
        value = (gradient * gradient * ramp).sum()
    return out


def test_equals_its_definition_up_to_the_third_derivative() -> None:
    x = features(4, 3, 5, 5)
    fused, plain = derivatives(Norm(3), x), derivatives(lambda x: standardise(x, 1e-5), x)
    for a, b in zip(fused, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_first_order_gradient_equals_the_differentiable_one() -> None:
    x = features(4, 3, 5, 5)
    value = Norm(3)(x).pow(3).sum()
    (fused,) = torch.autograd.grad(value, x, retain_graph=True)
    (plain,) = torch.autograd.grad(value, x, create_graph=True)
    torch.testing.assert_close(fused, plain, rtol=1e-9, atol=1e-12)


def test_first_and_second_derivatives_agree_with_finite_differences() -> None:
    x = features(3, 2, 3, 3)
    norm = Norm(2)
    assert torch.autograd.gradcheck(norm, (x,))
    assert torch.autograd.gradgradcheck(norm, (x,))


def test_third_derivative_agrees_with_finite_differences() -> None:
    x, along = features(3, 2, 3, 3), features(3, 2, 3, 3).detach().cos()
    norm = Norm(2)

    def second(x: Tensor) -> Tensor:
        (first,) = torch.autograd.grad(norm(x).pow(3).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad((first * along).sum(), x, create_graph=True)
        return second

    assert torch.autograd.gradcheck(second, (x,), atol=1e-4)


def test_output_has_zero_mean_and_unit_variance_in_each_channel() -> None:
    out = Norm(3, eps=0.0)(features(6, 3, 4, 4) * 5 + 2)
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(3, dtype=out.dtype), atol=1e-12, rtol=0)
    torch.testing.assert_close(out.pow(2).mean((0, 2, 3)), torch.ones(3, dtype=out.dtype))


def test_inductive_statistics_come_from_the_first_rows_only() -> None:
    x = features(7, 3, 4, 4).detach()
    other = x.clone()
    other[5] += 100
    norm = Norm(3)
    torch.testing.assert_close(norm(x, rows=3)[[0, 1, 2, 3, 4, 6]], norm(other, rows=3)[[0, 1, 2, 3, 4, 6]])
    torch.testing.assert_close(norm(x, rows=7), norm(x))
    with pytest.raises(AssertionError):
        torch.testing.assert_close(norm(x)[0], norm(other)[0])


def test_scale_and_shift_equal_their_definition_up_to_the_third_derivative() -> None:
    x = features(4, 3, 5, 5)
    norm = Norm(3, affine=True).double()
    scale, shift = (torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in range(2))

    def fused(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        return functional_call(norm, {"scale": scale, "shift": shift}, (x,))

    def plain(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        return standardise(x, 1e-5) * scale[:, None, None] + shift[:, None, None]

    def chain(norm: object) -> list[Tensor]:
        leaves = (x, scale, shift)
        value = norm(*leaves).sin().sum()  # type: ignore[operator]
        found = []
        for _ in range(3):
            gradient = torch.autograd.grad(value, leaves, create_graph=True)
            found.extend(gradient)
            value = sum((g * g * torch.linspace(-1, 1, g.numel()).view_as(g)).sum() for g in gradient)
        return found

    for a, b in zip(chain(fused), chain(plain), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=["rows", "channels last"])
@pytest.mark.parametrize("gated", [False, True])
def test_predictions_by_the_first_rows_equal_what_is_differentiated(
    affine: bool, order: torch.memory_format, gated: bool
) -> None:
    x = features(7, 6, 4, 4).detach().contiguous(memory_format=order)
    norm = Norm(6, affine=affine).double()
    for parameter in norm.parameters():
        parameter.data = features(6).detach()
    gate = torch.tensor([0.3, 0.7], dtype=x.dtype) if gated else None
    with torch.no_grad():
        predicted = norm(x, 3, gate)
    torch.testing.assert_close(predicted, norm(x, 3, gate), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("affine", [False, True])
@pytest.mark.parametrize("tasks", [None, 2])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last], ids=["rows", "channels last"])
@pytest.mark.parametrize("rows", [None, 2])
def test_a_gate_is_a_factor_of_the_result(
    affine: bool, tasks: int | None, order: torch.memory_format, rows: int | None
) -> None:
    x, lead = features(4, 6, 5, 5).detach().contiguous(memory_format=order).requires_grad_(), () if not tasks else (2,)
    gate = torch.linspace(0.3, 0.7, tasks or 1, dtype=x.dtype).reshape(lead).requires_grad_()
    norm = Norm(6, affine=affine).double()
    wide = gate if tasks is None else gate.repeat_interleave(3)[:, None, None]

    def derivatives(out: Tensor) -> list[Tensor]:
        along = features(4, 6, 5, 5).detach().cos().contiguous(memory_format=order)
        plain = torch.autograd.grad((out.sin() * along).sum(), [x, gate], retain_graph=True)
        first = torch.autograd.grad((out.sin() * along).sum(), [x, gate], create_graph=True)
        return [out, *plain, *first, *torch.autograd.grad(sum(g.square().sum() for g in first), [x, gate])]

    for a, b in zip(derivatives(norm(x, rows, gate)), derivatives(norm(x, rows) * wide), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)
