"""What stands beside the images of a batch."""

import pytest
import torch
from torch import Tensor

from metanas.objective import Classification
from metanas.params import MetaParams
from metanas.spaces.backbone import Backbone
from metanas.spaces.conv4 import Conv4
from metanas.spaces.fewshot import FewShot
from metanas.spaces.initial import initial_weights
from metanas.viewing import Viewing
from tasks.augment import VIEWS
from tasks.augment.affine import turned
from tasks.augment.views import mirrored, shifted
from tasks.episode import Batch, TaskSpec
from tasks.stream import stream

SPEC = TaskSpec(3, 1, 2, (1, 16, 16))
pytestmark = pytest.mark.usefixtures("float64")


def images(n: int, name: str, *tasks: int) -> Tensor:
    return torch.rand(*tasks, n, *SPEC.image, generator=stream(0, name))


@pytest.fixture
def params() -> MetaParams:
    child = FewShot(width=4, nodes=1).child((0, 3, 0, 0, 2, 5), SPEC)
    weights = {k: w.double() for k, w in initial_weights(child, stream(0, "weights")).items()}
    weights["head.weight"] = torch.randn(weights["head.weight"].shape, generator=stream(0, "head"))
    return MetaParams({k: torch.stack([w, 1.1 * w]) for k, w in weights.items()}, {})


def objective(**viewing: object) -> Classification:
    return Classification(
        FewShot(width=4, nodes=1).child((0, 3, 0, 0, 2, 5), SPEC),
        viewing=Viewing(**viewing),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("reference", [None, 5], ids=["own statistics", "reference"])
def test_an_image_is_the_mean_over_its_views(params: MetaParams, reference: int | None) -> None:
    """Each looked at by itself, normalised by the same images."""
    x, views = images(4, "query", 2), VIEWS["flip"](16) + VIEWS["affine"](16) + VIEWS["crop"](16)
    beside = images(reference, "reference") if reference else None
    found = objective(reference=beside, views=views).logits(params, x)
    first = x if beside is None else beside.expand(2, *beside.shape)
    n = first.shape[1]
    looks = [
        objective().logits(params, torch.cat([first, view(x)], dim=1), rows=n)[:, n:] for view in (lambda x: x, *views)
    ]
    torch.testing.assert_close(found, torch.stack(looks).mean(0))


def test_without_anything_beside_them_images_are_seen_as_they_are(params: MetaParams) -> None:
    x = images(4, "query", 2)
    shown, rows = Viewing().shown(x, None)
    assert shown is x
    assert rows is None
    assert torch.equal(Viewing().merged(x), x)


def test_features_too(params: MetaParams) -> None:
    x = images(4, "query", 2)
    plain, both = objective(), objective(views=(mirrored,))
    assert both.features(params, x).shape == plain.features(params, x).shape
    symmetric = torch.cat([x, mirrored(x)], dim=-1)[..., ::2]
    symmetric = (symmetric + mirrored(symmetric)) / 2
    torch.testing.assert_close(both.features(params, symmetric), plain.features(params, symmetric))


def test_views_move_and_mirror_pixels() -> None:
    x = torch.arange(12.0).view(1, 3, 4)
    assert torch.equal(mirrored(x)[0, 0], torch.tensor([3.0, 2, 1, 0]))
    assert torch.equal(shifted(x, right=1)[0, 0], torch.tensor([0.0, 0, 1, 2]))
    assert torch.equal(shifted(x, right=-2)[0, 1], torch.tensor([6.0, 7, 0, 0]))
    assert torch.equal(shifted(x, down=1)[0, :, 3], torch.tensor([0.0, 3, 7]))
    assert torch.equal(shifted(x, down=-1)[0, :, 3], torch.tensor([7.0, 11, 0]))
    assert [len(VIEWS[name](32)) for name in ("flip", "affine", "crop")] == [1, 2, 4]
    assert {view(torch.ones(3, 1, 32, 32)).sum().item() for view in VIEWS["crop"](32)} == {3 * 32 * 29}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_images_turn_about_their_middle(dtype: torch.dtype) -> None:
    x = (torch.arange(2 * 3 * 25.0).view(2, 3, 5, 5) / 256).to(dtype)
    torch.testing.assert_close(turned(x, degrees=90), x.rot90(dims=(-2, -1)))
    forth, back = (view(x) for view in VIEWS["affine"](5))
    torch.testing.assert_close(forth.flip(-1), turned(x.flip(-1), degrees=-6))
    assert not torch.allclose(forth, back)
    assert forth.dtype == dtype


def test_angles_are_seen_from_the_mean_features_of_the_reference() -> None:
    """Of a network whose features all lie on one side of zero, as those behind a ReLU."""
    net = Backbone(lambda spec: Conv4(spec, 4)).supernet(SPEC)
    weights = {k: torch.stack([w, 1.1 * w]) for k, w in initial_weights(net, stream(0, "weights")).items()}
    params = MetaParams({k: w.double() for k, w in weights.items()}, {})
    support = Batch(images(3, "support", 2), torch.tensor([[2, 0, 1], [0, 1, 2]]))
    query, beside = images(6, "query", 2), images(5, "reference")
    seen, plain = Classification(net, viewing=Viewing(reference=beside)), Classification(net)
    found = seen.logits(seen.with_class_directions(params, support), query)

    origin = plain.features(params, beside.expand(2, *beside.shape)).mean(1, keepdim=True)
    assert (origin > 0).any()
    of_support, of_query = (seen.features(params, x) - origin for x in (support.x, query))
    cosines = torch.nn.functional.cosine_similarity(of_query[:, :, None], of_support[:, None], dim=-1)
    in_order = torch.stack([c[:, y.argsort()] for c, y in zip(cosines, support.y, strict=True)])
    torch.testing.assert_close(found / of_query.norm(dim=-1, keepdim=True), in_order)
    assert plain.frame(params, query).origin.item() == 0


def test_angles_are_seen_in_the_frame_of_the_background() -> None:
    """What is handed out is still a linear classifier, and says what the frame says."""
    net = Backbone(lambda spec: Conv4(spec, 4)).supernet(SPEC)
    weights = {k: torch.stack([w, 1.1 * w]) for k, w in initial_weights(net, stream(0, "weights")).items()}
    params = MetaParams({k: w.double() for k, w in weights.items()}, {})
    support = Batch(images(3, "support", 2), torch.tensor([[2, 0, 1], [0, 1, 2]]))
    query, beside, background = images(6, "query", 2), images(5, "reference"), images(7, "background")
    seen = Classification(net, viewing=Viewing(reference=beside, background=background))
    found = seen.logits(seen.with_class_directions(params, support), query)

    frame = seen.frame(params, query)
    around = Classification(net, viewing=Viewing(reference=beside)).features(
        params, background.expand(2, *background.shape)
    )
    torch.testing.assert_close(frame.origin, around.mean(1, keepdim=True))
    of_support, of_query, of_around = (
        frame.of(seen.features(params, x)) for x in (support.x, query, background.expand(2, *background.shape))
    )
    torch.testing.assert_close(of_around.mean(1), torch.zeros_like(of_around[:, 0]), rtol=0, atol=1e-9)
    cosines = torch.nn.functional.cosine_similarity(of_query[:, :, None], of_support[:, None], dim=-1)
    in_order = torch.stack([c[:, y.argsort()] for c, y in zip(cosines, support.y, strict=True)])
    torch.testing.assert_close(found / of_query.norm(dim=-1, keepdim=True), in_order)
