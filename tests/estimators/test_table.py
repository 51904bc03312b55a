"""The table of NAS-Bench-201: right rows, right splits, right clock, and every damage named."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from metanas.errors import GenotypeError
from metanas.estimators.compact import FILE, ROWS
from metanas.estimators.estimator import Metered
from metanas.estimators.report import read_report
from metanas.estimators.table import read_table
from metanas.spaces.nas_bench_201 import NasBench201
from tasks.errors import DataError

SPACE = NasBench201()
Save = Callable[..., Path]
Columns = dict[str, np.ndarray]


@pytest.mark.parametrize("data", ["cifar10", "cifar100", "imagenet16"])
def test_a_genotype_gets_the_accuracies_of_its_own_row(data: str, save: Save, invented: Columns) -> None:
    path = save()
    table, report = read_table(path, data), read_report(path, data)  # type: ignore[arg-type]
    for row in (0, 1, 7_777, ROWS - 1):
        genotype = SPACE.read(str(invented["arch"][row]))
        assert table(genotype).score == pytest.approx(invented[f"{data}_valid_12"][row] / 100)
        assert report.accuracy(genotype) == pytest.approx(invented[f"{data}_test_200"][row] / 100)
    assert report.best == pytest.approx(invented[f"{data}_test_200"].max() / 100)
    assert report.regret(SPACE.read(str(invented["arch"][0]))) == 0


def test_an_estimator_holds_no_test_accuracy(save: Save, invented: Columns) -> None:
    """All that can be reached from it is the validation column and the clock."""
    table = read_table(save(), "cifar10")
    assert [field.name for field in fields(table)] == ["accuracies", "seconds", "is_timed"]
    held = np.concatenate([table.accuracies.ravel(), table.seconds.ravel()])
    for name in ("cifar10_test_200", "cifar10_halftrain_test_200_mean"):
        assert not np.isin(invented[name] / 100, held).any()


def test_test_columns_cannot_be_asked_for_as_a_signal(save: Save) -> None:
    for signal in ("halftrain_test_200_mean", "200"):
        with pytest.raises(DataError, match=r"valid signals of cifar10 in this file: 12; choose one"):
            read_table(save(), "cifar10", signal)  # type: ignore[arg-type]


def test_the_clock_is_estimated_from_the_epoch(save: Save) -> None:
    path, conv3 = save(), (3,) * 6
    assert read_table(path, "cifar10")(conv3).seconds == pytest.approx(12 * 8.0)
    assert read_table(path, "cifar100")(conv3).seconds == pytest.approx(12 * 8.0 * 2)
    assert read_table(path, "cifar100", "200_seed")(conv3).seconds == pytest.approx(200 * 8.0 * 2)
    assert not read_table(path, "cifar10").is_timed


def test_the_tables_own_clock_goes_first(save: Save) -> None:
    table = read_table(save(train_s_cifar10_12=np.full(ROWS, 7.0)), "cifar10")
    assert table.is_timed
    assert table((0,) * 6).seconds == 7.0


def test_the_meter_adds_up_every_question(save: Save) -> None:
    metered = Metered(read_table(save(), "cifar10"))
    for genotype in [(0,) * 6, (3,) * 6, (3,) * 6]:
        metered(genotype)
    assert metered.queries == 3
    assert metered.seconds == pytest.approx(12 * (2.0 + 8.0 + 8.0))


def test_a_wrong_genotype_is_refused(save: Save) -> None:
    with pytest.raises(GenotypeError, match="6 choices, got 5"):
        read_report(save(), "cifar10").accuracy((0,) * 5)


def with_entry(column: np.ndarray, value: float) -> np.ndarray:
    changed = column.copy()
    changed[5] = value
    return changed


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: {"cifar10_valid_12": None}, r"expected the column cifar10_valid_12, got none; .*: none; choose"),
        (lambda c: {"ops": None}, r"lacks the column ops; expected it among arch, params_m_cifar10, "),
        (lambda c: {"cifar10_valid_12": c["cifar10_valid_12"][:-1]}, "expected 15625 entries in .*, got 15624"),
        (lambda c: {"ops": c["ops"][:, :5]}, "expected 15625 x 6 entries in the column ops, got 15625 x 5"),
        (lambda c: {"cifar10_valid_12": with_entry(c["cifar10_valid_12"], np.nan)}, "a percentage .* got nan in row 5"),
        (lambda c: {"cifar10_valid_12": with_entry(c["cifar10_valid_12"], 101)}, "a percentage .* got 101.0 in row 5"),
        (lambda c: {"cifar10_valid_12": c["arch"]}, "expected numbers in the column cifar10_valid_12, got <U"),
        (
            lambda c: {"est_train_s_per_epoch_cifar10_half": np.full(ROWS, -1.0)},
            "a finite number of at least 0 in .*, got -1.0 in row 0",
        ),
        (lambda c: {"ops": c["ops"].astype(float)}, "expected integers in the column ops, got float64"),
        (lambda c: {"ops": np.where(c["ops"] == 4, 5, c["ops"])}, r"expected operations 0..4, got \["),
        (lambda c: {"arch": np.roll(c["arch"], 1)}, "ops and arch differ, expected .* in row 0, got .* out of order"),
        (
            lambda c: {name: np.concatenate([c[name][:-1], c[name][:1]]) for name in ("ops", "arch")},
            "expected every architecture once, got .* again in row 15624",
        ),
        (
            lambda c: {name: np.roll(c[name], 1, axis=0) for name in ("ops", "arch")},
            "million parameters for .*; the rows are out of order",
        ),
    ],
)
def test_a_damaged_file_is_refused_by_name(
    damage: Callable[[Columns], Columns], message: str, save: Save, invented: Columns
) -> None:
    path = save(**damage(invented))
    with pytest.raises(DataError, match=message) as caught:
        read_table(path, "cifar10")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_truncated_or_foreign_file_is_refused(save: Save, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"table .*none.npz, which does not exist; make it with"):
        read_table(tmp_path / "none.npz", "cifar10")
    whole = save().read_bytes()
    for size in (0, 100, len(whole) // 2, len(whole) - 10):
        (tmp_path / "short.npz").write_bytes(whole[:size])
        with pytest.raises(DataError, match="short.npz is damaged or no numpy archive .*; copy it or make it anew"):
            read_table(tmp_path / "short.npz", "cifar10")
    np.save(tmp_path / "single.npy", np.zeros(3))
    with pytest.raises(DataError, match=r"expected a numpy archive \(.npz\) of columns, got a single array"):
        read_table(tmp_path / "single.npy", "cifar10")


def test_a_flipped_byte_is_noticed(save: Save, invented: Columns) -> None:
    path = save()
    content = bytearray(path.read_bytes())
    start = content.find(invented["cifar10_valid_12"].tobytes())
    content[start + 1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="is damaged"):
        read_table(path, "cifar10")


def test_a_pickle_inside_is_not_run(tmp_path: Path, invented: Columns) -> None:
    np.savez(tmp_path / "evil.npz", **invented | {"cifar10_valid_12": np.array([object()])})
    with pytest.raises(DataError, match="is damaged or no numpy archive"):
        read_table(tmp_path / "evil.npz", "cifar10")


@pytest.fixture
def real_table(real_data: Path) -> Path:
    if not (real_data / FILE).is_file():
        pytest.skip(f"{real_data / FILE} does not exist; put the compact table of NAS-Bench-201 there")
    return real_data / FILE


@pytest.mark.data
class TestRealTable:
    @pytest.mark.parametrize(
        ("data", "best", "all_skips", "mean"),
        [
            ("cifar10", 0.9437, 0.5430, 0.8706),
            ("cifar100", 0.7351, 0.1561, 0.6141),
            ("imagenet16", 0.4731, 0.1632, 0.3359),
        ],
    )
    def test_holds_the_published_facts(
        self, real_table: Path, data: str, best: float, all_skips: float, mean: float
    ) -> None:
        """The optimum, and the cell of skip connections in which DARTS collapses (the paper's tables 4 and 5)."""
        report = read_report(real_table, data)  # type: ignore[arg-type]
        assert report.best == pytest.approx(best, abs=5e-5)
        assert report.accuracy((1,) * 6) == pytest.approx(all_skips, abs=5e-5)
        assert report.mean == pytest.approx(mean, abs=1e-4)

    def test_a_copied_cell_is_hard_to_beat(self, real_table: Path) -> None:
        """Two cells share the best accuracy on CIFAR-10; on CIFAR-100 they have 73.22 and 73.09 %."""
        reports = {name: read_report(real_table, name) for name in ("cifar10", "cifar100", "imagenet16")}
        assert reports["cifar10"].copied(reports["cifar100"]) == pytest.approx(0.9436, abs=5e-5)
        assert reports["cifar10"].copied(reports["imagenet16"]) == pytest.approx(0.9399, abs=5e-5)
        assert reports["cifar100"].copied(reports["cifar10"]) == pytest.approx((0.7322 + 0.7309) / 2, abs=5e-5)

    def test_random_search_of_100_draws_finds_what_it_should(self, real_table: Path) -> None:
        """The best of 100 uniform draws by the 12-epoch signal: 93.72 % +- 0.35 % on test images, 200 repetitions."""
        table, report = read_table(real_table, "cifar10"), read_report(real_table, "cifar10")
        scores, tests = table.accuracies.ravel(), report.accuracies.ravel()
        draws = np.random.default_rng(0).integers(ROWS, size=(200, 100))
        chosen = tests[draws[np.arange(200), scores[draws].argmax(1)]]
        assert chosen.mean() == pytest.approx(0.9372, abs=1.5e-3)
        assert table.seconds.ravel()[draws].sum(1).mean() == pytest.approx(20_000 * 100 / 181, rel=0.03)

    def test_sizes_are_those_of_our_networks(self, real_table: Path) -> None:
        """Eight architectures, built and counted."""
        from metanas.estimators.compact import read_columns
        from metanas.spaces.cost import cost
        from tasks.episode import TaskSpec

        columns = read_columns(real_table, ["flops_m_imagenet16", "params_m_imagenet16"])
        spec = TaskSpec(120, 1, 1, (3, 16, 16))
        for place in range(0, ROWS, 2_000):
            genotype = tuple(int(choice) for choice in np.unravel_index(place, (5,) * 6))
            found = cost(SPACE.child(genotype, spec), spec)
            assert found.params == round(columns["params_m_imagenet16"][genotype] * 1e6)
            assert found.macs + spec.n_way == round(columns["flops_m_imagenet16"][genotype] * 1e6)
