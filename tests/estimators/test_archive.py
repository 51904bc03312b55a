"""The converter: a small archive of the official layout, with numbers that say where they come from."""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from metanas.estimators import archive
from metanas.estimators.archive import convert, main, read_archive
from tasks.errors import DataError

ARCHS = [
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|",
]
SUBSETS = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("x-valid", "x-test", "ori-test"),
    "ImageNet16-120": ("x-valid", "x-test", "ori-test"),
}


def one_run(arch: int, epochs: int, data: str, seed: int) -> dict[str, Any]:
    """Accuracies tell architecture, data set, subset, epoch and seed apart; numpy's numbers stand among Python's."""
    base = 20.0 * arch + 4 * list(SUBSETS).index(data) + (epochs == 200) * 0.5 + seed / 10_000
    accuracies, times = {}, {}
    for i, subset in enumerate(SUBSETS[data]):
        for epoch in range(epochs):
            accuracies[f"{subset}@{epoch}"] = np.float64(base + i if epoch == epochs - 1 else 0.0)
            times[f"{subset}@{epoch}"] = 0.25
    return {
        "name": "infer.tiny",
        "epochs": epochs,
        "params": 0.1 * (arch + 1),
        "flop": 10.0 * (arch + 1),
        "train_times": OrderedDict((epoch, 2.0 + arch) for epoch in range(epochs)),
        "eval_names": list(SUBSETS[data]),
        "eval_acc1es": accuracies,
        "eval_times": times,
        "net_state_dict": None,
    }


def small_archive(names: tuple[str, str] = ("less", "full")) -> dict[str, Any]:
    infos = {}
    for arch in range(len(ARCHS)):
        seeds = {12: [111, 777], 200: [777, 888][: 1 + arch % 2]}
        infos[arch] = {
            name: {
                "arch_index": arch,
                "arch_str": ARCHS[arch],
                "dataset_seed": {data: seeds[epochs] for data in SUBSETS},
                "all_results": {
                    (data, seed): one_run(arch, epochs, data, seed) for data in SUBSETS for seed in seeds[epochs]
                },
                "clear_net_done": True,
            }
            for name, epochs in zip(names, (12, 200), strict=True)
        }
    return {"meta_archs": ARCHS, "arch2infos": infos, "evaluated_indexes": {0, 1, 2}}


@pytest.fixture(autouse=True)
def _three_architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "ROWS", len(ARCHS))


@pytest.mark.parametrize("is_zip", [True, False], ids=["today's file format", "that of 2020"])
def test_columns_come_from_the_runs_that_they_name(is_zip: bool, tmp_path: Path) -> None:
    torch.save(small_archive(), tmp_path / "a.pth", _use_new_zipfile_serialization=is_zip)
    convert(tmp_path / "a.pth", tmp_path / "new" / "nb201.npz")
    found = np.load(tmp_path / "new" / "nb201.npz", allow_pickle=False)
    assert found["arch"].tolist() == ARCHS
    assert found["ops"].tolist() == [[4, 2, 1, 2, 1, 1], [0] * 6, [3, 3, 3, 1, 3, 2]]
    mean12, mean200 = (111 + 777) / 2 / 10_000, np.array([777, 832.5, 777]) / 10_000
    arch = 20.0 * np.arange(3)
    np.testing.assert_allclose(found["cifar10_valid_12"], arch + mean12)
    np.testing.assert_allclose(found["cifar10_test_12"], arch + 4 + mean12)
    np.testing.assert_allclose(found["cifar10_valid_200"], arch + 0.5 + mean200)
    np.testing.assert_allclose(found["cifar10_test_200"], arch + 4.5 + mean200)
    np.testing.assert_allclose(found["cifar100_valid_200"], arch + 8.5 + mean200)
    np.testing.assert_allclose(found["cifar100_test_200"], arch + 9.5 + mean200)
    np.testing.assert_allclose(found["imagenet16_test_12"], arch + 13 + mean12)
    np.testing.assert_allclose(found["train_s_cifar10_12"], 12 * (2.25 + np.arange(3)))
    np.testing.assert_allclose(found["train_s_imagenet16_200"], 200 * (2.25 + np.arange(3)))
    np.testing.assert_allclose(found["params_m_cifar100"], [0.1, 0.2, 0.3])
    np.testing.assert_allclose(found["flops_m_cifar10"], [10, 20, 30])


def test_the_later_names_of_the_runs_are_known(tmp_path: Path) -> None:
    torch.save(small_archive(("12", "200")), tmp_path / "a.pth")
    found = archive.columns(read_archive(tmp_path / "a.pth"), tmp_path / "a.pth")
    assert found["cifar10_valid_12"][1] == pytest.approx(20.0 + 0.0444)


class Evil:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.canary,))


def test_an_archive_that_would_run_something_is_refused(tmp_path: Path) -> None:
    torch.save(small_archive() | {"evil": Evil(tmp_path / "canary")}, tmp_path / "a.pth")
    with pytest.raises(DataError, match=r"a.pth is damaged or holds more than numbers and is not read"):
        read_archive(tmp_path / "a.pth")
    assert not (tmp_path / "canary").exists()


def lacking(*keys: object) -> dict[str, Any]:
    whole = small_archive()
    record: Any = whole
    for key in keys[:-1]:
        record = record[key]
    del record[keys[-1]]
    return whole


RUN = ("arch2infos", 1, "full", "all_results", ("cifar100", 777))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lacking("meta_archs"), "expected 'meta_archs', got 'arch2infos', 'evaluated_indexes'"),
        (small_archive() | {"meta_archs": ARCHS[:2]}, "expected 3 architectures, got 2 and the runs of 3"),
        (lacking("arch2infos", 1, "full"), "architecture 1: expected 'full', got 'less'"),
        (lacking(*RUN), r"architecture 1, 200 epochs on cifar100: expected \('cifar100', 777\), got"),
        (lacking(*RUN, "eval_acc1es", "x-valid@199"), "expected 'x-valid@199', got"),
        (lacking(*RUN, "train_times", 3), "200 epochs on cifar100: expected 3, got 0, 1, 2"),
        (small_archive() | {"meta_archs": [*ARCHS[:2], "|x~0|"]}, "architecture 2: expected 3 nodes"),
        ([1, 2], "expected a dictionary, got list"),
    ],
)
def test_what_an_archive_lacks_is_named(content: Any, message: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(DataError, match=message):
        convert(tmp_path / "a.pth", tmp_path / "nb201.npz")
    assert not (tmp_path / "nb201.npz").exists()


def test_the_command_says_in_one_line_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "nb201.npz")
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Evil(tmp_path / "canary"), protocol=2))
    (tmp_path / "short.pth").write_bytes(b"PK\x03\x04short")
    for name, expected in [("none", "does not exist"), ("plain", "is not read"), ("short", "damaged")]:
        assert main([str(tmp_path / f"{name}.pth"), out]) == 2
        said = capsys.readouterr().err
        assert expected in said
        assert said.count("\n") == 1
    assert main([]) == 2
    assert not (tmp_path / "canary").exists()
    assert not Path(out).exists()
    torch.save(small_archive(), tmp_path / "a.pth")
    assert main([str(tmp_path / "a.pth"), out]) == 0
