"""What every search space promises; a new space joins with one line in SPACES."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from metanas.objective import Classification
from metanas.params import MetaParams, is_head, spread
from metanas.relax.fixed import Fixed
from metanas.spaces.backbone import Backbone
from metanas.spaces.conv4 import Conv4
from metanas.spaces.darts import Darts
from metanas.spaces.fewshot import FewShot
from metanas.spaces.genotype import random_genotype
from metanas.spaces.initial import initial_weights
from metanas.spaces.metanas import MetaNas
from metanas.spaces.nas_bench_201 import NasBench201
from metanas.spaces.resnet import METAOPTNET, NARROW, NARROW_MAPS, ResNet
from metanas.spaces.space import SearchSpace
from tasks.episode import TaskSpec
from tasks.stream import stream

SPACES: dict[str, SearchSpace] = {
    "fewshot": FewShot(width=4),
    "fewshot of two nodes": FewShot(width=2, nodes=2),
    "fewshot with a relation head": FewShot(width=2, nodes=2, head="relation"),
    "fewshot with a cosine head": FewShot(width=2, nodes=2, head="cosine"),
    "conv4": Backbone(lambda spec: Conv4(spec, 4)),
    "conv4 with a relation head": Backbone(lambda spec: Conv4(spec, 4, "relation")),
    "resnet8": Backbone(lambda spec: ResNet(spec, 4, NARROW)),
    "resnet8 of whole maps with a cosine head": Backbone(lambda spec: ResNet(spec, 4, NARROW_MAPS, "cosine")),
    "resnet12": Backbone(lambda spec: ResNet(spec, 2, METAOPTNET)),
    "darts": Darts(width=2, nodes=3, stack=5),
    "darts of partial channels": Darts(width=4, nodes=3, stack=3, partial=4),
    "fewshot of partial channels": FewShot(width=4, nodes=2, partial=2),
    "darts with a relation head": Darts(width=2, nodes=1, stack=3, head="relation"),
    "metanas": MetaNas(width=2),
    "metanas with a relation head": MetaNas(width=2, nodes=2, stack=3, head="relation"),
    "nas_bench_201": NasBench201(width=2, cells_a_stage=1),
    "nas_bench_201 of two cells a stage": NasBench201(width=1, cells_a_stage=2),
}
SPEC = TaskSpec(3, 2, 2, (1, 37, 32))
IMAGES = torch.rand(6, *SPEC.image, generator=stream(0, "images"), dtype=torch.float64)


def weights_of(space: SearchSpace) -> dict[str, torch.Tensor]:
    weights = {k: w.double() for k, w in initial_weights(space.supernet(SPEC), stream(0, "weights")).items()}
    rows = next(name for name in ("head.weight", "head.classes") if name in weights)
    head = torch.randn(weights[rows].shape, generator=stream(0, "head"), dtype=torch.float64)
    return weights | {rows: head}  # a classifier of zeros would make all logits equal


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
class TestSpace:
    def test_is_a_search_space(self, space: SearchSpace) -> None:
        assert isinstance(space, SearchSpace)

    @settings(max_examples=5, deadline=None)
    @given(seed=st.integers(0, 2**31))
    def test_at_a_one_hot_gate_the_supernet_equals_the_child(self, space: SearchSpace, seed: int) -> None:
        weights = weights_of(space)
        genotype = random_genotype(space, stream(seed, "genotype"))
        gates = {kind: table.double() for kind, table in space.encode(genotype).items()}
        child = space.child(genotype, SPEC)
        inherited = {name: weights[name] for name, _ in child.named_parameters()}
        expected = Classification(child).logits(MetaParams(inherited, {}), IMAGES)
        for sparse in (False, True):
            supernet = Classification(space.supernet(SPEC), Fixed(gates, sparse=sparse))
            torch.testing.assert_close(
                supernet.logits(MetaParams(weights, {}), IMAGES), expected, rtol=1e-9, atol=1e-12
            )

    @settings(max_examples=10, deadline=None)
    @given(seed=st.integers(0, 2**31))
    def test_child_parameters_are_a_subset_of_the_supernets(self, space: SearchSpace, seed: int) -> None:
        child = space.child(random_genotype(space, stream(seed, "genotype")), SPEC)
        supernet = {name: p.shape for name, p in space.supernet(SPEC).named_parameters()}
        assert {name: p.shape for name, p in child.named_parameters()}.items() <= supernet.items()

    @settings(max_examples=50, deadline=None)
    @given(seed=st.integers(0, 2**31))
    def test_decoding_undoes_encoding(self, space: SearchSpace, seed: int) -> None:
        genotype = random_genotype(space, stream(seed, "genotype"))
        assert space.decode(space.encode(genotype)) == genotype

    @settings(max_examples=20, deadline=None)
    @given(seed=st.integers(0, 2**31))
    def test_hardening_is_encoding_what_was_decoded(self, space: SearchSpace, seed: int) -> None:
        arch = {
            kind: torch.randn(3, *table.shape, generator=stream(seed, kind)) for kind, table in space.logits().items()
        }
        hard = space.harden(arch)
        for task in range(3):
            expected = space.encode(space.decode({kind: table[task] for kind, table in arch.items()}))
            for kind, table in expected.items():
                assert torch.equal(hard[kind][task], table)

    def test_children_of_several_tasks_run_as_one_supernet(self, space: SearchSpace) -> None:
        weights = weights_of(space)
        genotypes = [random_genotype(space, stream(task, "genotype")) for task in range(4)]
        encoded = [space.encode(genotype) for genotype in genotypes]
        gates = {kind: torch.stack([e[kind] for e in encoded]).double() for kind in encoded[0]}
        together = Classification(space.supernet(SPEC), Fixed(gates))
        logits = together.logits(spread(MetaParams(weights, {}), 4), IMAGES.expand(4, *IMAGES.shape))
        for task, genotype in enumerate(genotypes):
            child = space.child(genotype, SPEC)
            inherited = {name: weights[name] for name, _ in child.named_parameters()}
            expected = Classification(child).logits(MetaParams(inherited, {}), IMAGES)
            torch.testing.assert_close(logits[task], expected, rtol=1e-9, atol=1e-12)

    def test_features_come_before_the_head(self, space: SearchSpace) -> None:
        """Of all tasks in one call, and whatever the head's weights are."""
        weights = weights_of(space)
        child = Classification(space.child(random_genotype(space, stream(0, "genotype")), SPEC))
        names = dict(child.net.named_parameters())
        start = MetaParams({name: w for name, w in weights.items() if name in names}, {})
        features = child.features(start, IMAGES)
        assert features.shape[0] == len(IMAGES)
        blank = {name: torch.zeros_like(w) if is_head(name) else w for name, w in start.weights.items()}
        assert torch.equal(child.features(MetaParams(blank, {}), IMAGES), features)
        folded = child.features(spread(start, 2), torch.stack([IMAGES, IMAGES.flip(0)]))
        torch.testing.assert_close(folded[0], features, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(folded[1], features.flip(0), rtol=1e-9, atol=1e-12)

    def test_with_given_rows_an_image_does_not_see_the_others(self, space: SearchSpace) -> None:
        child = Classification(space.child(random_genotype(space, stream(0, "genotype")), SPEC))
        names = dict(child.net.named_parameters())
        start = MetaParams({name: w for name, w in weights_of(space).items() if name in names}, {})
        together = child.logits(start, IMAGES, rows=4)
        for i in (4, 5):
            alone = child.logits(start, IMAGES[[0, 1, 2, 3, i]], rows=4)
            torch.testing.assert_close(alone[4], together[i], rtol=1e-9, atol=1e-12)
            assert not torch.allclose(child.logits(start, IMAGES)[i], together[i])

    def test_skeletons_are_shapes_without_weights(self, space: SearchSpace) -> None:
        assert {p.device.type for p in space.supernet(SPEC).parameters()} == {"meta"}

    def test_cells_name_as_many_operations_as_the_child_computes(self, space: SearchSpace) -> None:
        genotype = random_genotype(space, stream(0, "genotype"))
        edges = [edge for cell in space.cells(genotype).values() for edge in cell]
        assert all(0 <= edge.source < edge.target for edge in edges)
