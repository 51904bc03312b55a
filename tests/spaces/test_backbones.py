"""Conv-4 and residual networks: published sizes, and networks without choices."""

from itertools import pairwise

import pytest
import torch

from metanas.errors import ConfigError, GenotypeError
from metanas.objective import Classification
from metanas.params import MetaParams
from metanas.spaces.backbone import Backbone
from metanas.spaces.conv4 import Conv4
from metanas.spaces.cost import cost
from metanas.spaces.initial import initial_weights
from metanas.spaces.resnet import METAOPTNET, NARROW, TADAM, ResNet
from tasks.episode import TaskSpec
from tasks.stream import stream

MINI, OMNIGLOT = TaskSpec(5, 1, 15, (3, 84, 84)), TaskSpec(5, 1, 15, (1, 28, 28))


def body(space: Backbone, spec: TaskSpec) -> int:
    return sum(p.numel() for name, p in space.supernet(spec).named_parameters() if not name.startswith("head."))


def test_conv4_has_the_published_weights_but_for_the_biases_before_norms() -> None:
    """MAML on miniImageNet: 32,901 with its classifier; Prototypical Networks: 113,088 without one."""
    assert cost(Backbone(lambda spec: Conv4(spec, 32)).supernet(MINI), MINI).params == 32_901 - 4 * 32
    assert body(Backbone(lambda spec: Conv4(spec, 64)), MINI) == 113_088 - 4 * 64


def test_conv4_describes_an_omniglot_image_by_64_numbers() -> None:
    head = dict(Backbone(lambda spec: Conv4(spec, 64)).supernet(OMNIGLOT).named_parameters())["head.weight"]
    assert tuple(head.shape) == (5, 64)


def test_macs_of_conv4_equal_a_count_by_hand() -> None:
    found = cost(Backbone(lambda spec: Conv4(spec, 8)).supernet(OMNIGLOT), OMNIGLOT).macs
    assert found == 28 * 28 * 8 * 9 + (14 * 14 + 7 * 7 + 3 * 3) * 8 * 8 * 9 + 8 * 5


@pytest.mark.parametrize(("blocks", "weights"), [(METAOPTNET, 12_424_320), (TADAM, 7_996_800)])
def test_resnet12_has_the_published_weights(blocks, weights: int) -> None:
    assert body(Backbone(lambda spec: ResNet(spec, 64, blocks)), MINI) == weights


def test_resnet8_stays_below_a_hundred_thousand_weights_with_60_classes() -> None:
    widths, spec = (3, 16, 28, 40, 56), TaskSpec(60, 1, 1, (3, 32, 32))
    count = sum(9 * (a + b) * b + a * b + 6 * b for a, b in pairwise(widths)) + 60 * 57
    found = cost(Backbone(lambda spec: ResNet(spec, 16, NARROW)).supernet(spec), spec)
    assert found.params == count < 100_000
    sides = (32, 16, 8, 4)
    macs = sum(n * n * (9 * (a + b) * b + a * b) for n, (a, b) in zip(sides, pairwise(widths), strict=True)) + 60 * 56
    assert found.macs == macs


def test_a_residual_network_without_its_convolutions_is_its_shortcuts() -> None:
    """The third norm of each block scales by zero: what is left is the projected input, standardised at first."""
    space, spec = Backbone(lambda spec: ResNet(spec, 2, TADAM)), TaskSpec(3, 1, 1, (1, 16, 16))
    net = space.supernet(spec)
    weights = {k: w.double() for k, w in initial_weights(net, stream(0, "weights")).items()}
    weights |= {k: torch.zeros_like(w) for k, w in weights.items() if k.endswith("norms.2.scale")}
    x = torch.rand(4, *spec.image, generator=stream(0, "images"), dtype=torch.float64)
    found = Classification(net).features(MetaParams(weights, {}), x)
    x = torch.nn.functional.batch_norm(x, None, None, training=True)
    for i in range(4):
        x = torch.nn.functional.conv2d(x, weights[f"blocks.{i}.shortcut.weight"])
        x = torch.nn.functional.batch_norm(x, None, None, training=True)
        x = torch.nn.functional.max_pool2d(torch.nn.functional.leaky_relu(x, 0.1), 2)
    torch.testing.assert_close(found, x.mean((2, 3)), rtol=1e-9, atol=1e-12)


def test_brightness_and_contrast_of_all_images_change_nothing_that_a_residual_network_sees() -> None:
    space, spec = Backbone(lambda spec: ResNet(spec, 4, NARROW)), TaskSpec(3, 1, 1, (3, 16, 16))
    net = space.supernet(spec)
    params = MetaParams({k: w.double() for k, w in initial_weights(net, stream(0, "weights")).items()}, {})
    x = torch.rand(4, *spec.image, generator=stream(0, "images"), dtype=torch.float64)
    seen = Classification(net)
    torch.testing.assert_close(seen.features(params, 0.7 * x + 0.2), seen.features(params, x), rtol=1e-3, atol=1e-4)


def test_there_is_nothing_to_decide() -> None:
    space = Backbone(lambda spec: Conv4(spec, 4))
    assert (space.decisions, space.logits(), space.decode({}), space.cells(())) == ((), {}, (), {})
    with pytest.raises(GenotypeError, match="has 0 choices, got 1"):
        space.child((0,), OMNIGLOT)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda spec: Conv4(spec, 0), "space.width must be at least 1, got 0"),
        (lambda spec: Conv4(spec, 4), "Conv-4 needs images of at least 16x16, got 12x16; raise data.resolution"),
        (lambda spec: ResNet(spec, 0, TADAM), "space.width must be a multiple of 1, at least 1, got 0"),
        (lambda spec: ResNet(spec, 3, METAOPTNET), "space.width must be a multiple of 2, at least 2, got 3"),
        (lambda spec: ResNet(spec, 6, NARROW), "space.width must be a multiple of 4, at least 4, got 6"),
        (lambda spec: ResNet(spec, 4, TADAM), "this residual network needs images of at least 16x16, got 12x16"),
    ],
)
def test_what_cannot_be_built_is_refused(build, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Backbone(build).supernet(TaskSpec(5, 1, 1, (1, 12, 16)))


def test_maps_too_small_for_a_relation_are_refused() -> None:
    with pytest.raises(ConfigError, match="feature maps of at least 4x4, got 2x2; raise data.resolution"):
        Backbone(lambda spec: ResNet(spec, 4, TADAM, "relation")).supernet(TaskSpec(5, 1, 1, (3, 32, 32)))
