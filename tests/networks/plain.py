"""DARTS's definition written once more, from `torch.nn.functional` alone, with weights by name."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metanas.spaces.cell_genotype import CellGenotype, CellGraph
from tasks.stream import stream


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


def plain_network(
    genotype: CellGenotype, w: dict[str, Tensor], x: Tensor, *, depth: int, is_imagenet: bool = False
) -> Tensor:
    """The logits of a derived network from its weights by name."""

    def norm(x: Tensor, name: str) -> Tensor:
        return F.batch_norm(x, *(w[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")))

    if is_imagenet:
        x = norm(F.conv2d(x, w["stem.conv1.weight"], None, 2, 1), "stem.norm1").clamp(min=0)
        s0 = norm(F.conv2d(x, w["stem.conv2.weight"], None, 2, 1), "stem.norm2")
        s1 = norm(F.conv2d(s0.clamp(min=0), w["stem.conv3.weight"], None, 2, 1), "stem.norm3")
    else:
        s0 = s1 = norm(F.conv2d(x, w["stem.conv.weight"], None, 1, 1), "stem.norm")
    after = is_imagenet
    for place in range(depth):
        reduction = place in (depth // 3, 2 * depth // 3)
        weights = {name.split(".", 2)[2]: t for name, t in w.items() if name.startswith(f"cells.{place}.")}
        graph = genotype.reduction if reduction else genotype.normal
        s0, s1 = s1, plain_cell(graph, weights, s0, s1, reduction=reduction, after=after)
        after = reduction
    return s1.flatten(2).mean(2) @ w["head.weight"].T + w["head.bias"]


def random_weights(cell: nn.Module) -> dict[str, Tensor]:
    """Draws weights and running statistics anew, in place; returns them by name."""
    rng = stream(0, "weights")
    weights = {
        name: torch.rand(t.shape, generator=rng, dtype=torch.float64) + (0.5 if name.endswith("var") else -0.3)
        for name, t in cell.state_dict().items()
        if t.is_floating_point()
    }
    cell.load_state_dict(weights, strict=False)
    return weights
