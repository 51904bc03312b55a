"""What every estimator promises; a new one joins with one line in ESTIMATORS."""

import numpy as np
import pytest

from metanas.errors import GenotypeError
from metanas.estimators.estimator import Estimator, Metered
from metanas.estimators.table import Table
from metanas.spaces.nas_bench_201 import NasBench201

SPACE = NasBench201()
TABLE = Table(np.random.default_rng(0).random((5,) * 6), np.full((5,) * 6, 30.0), is_timed=False)
ESTIMATORS: dict[str, Estimator] = {"table": TABLE, "metered": Metered(TABLE)}


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
class TestEstimator:
    def test_is_an_estimator(self, estimator: Estimator) -> None:
        assert isinstance(estimator, Estimator)

    def test_says_the_same_again(self, estimator: Estimator) -> None:
        assert estimator((3,) * 6) == estimator((3,) * 6)

    def test_tells_architectures_apart_and_takes_time(self, estimator: Estimator) -> None:
        first, second = estimator((0,) * 6), estimator((0, 0, 0, 0, 0, 1))
        assert first.score != second.score
        assert min(first.seconds, second.seconds) > 0

    @pytest.mark.parametrize("genotype", [(0,) * 5, (0, 0, 0, 0, 0, 5), (-1,) * 6])
    def test_refuses_what_is_not_in_the_space(self, estimator: Estimator, genotype: tuple[int, ...]) -> None:
        with pytest.raises(GenotypeError):
            estimator(genotype)
