"""What holds for every test: one thread, no network, nothing leaves the process, the same bits each time."""

import hashlib
import os
import pickle
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it a GPU has no deterministic products
os.environ.setdefault("WANDB_MODE", "disabled")
os.environ["MPLBACKEND"] = "Agg"

import socket

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from metanas.estimators.compact import ROWS
from metanas.spaces.nas_bench_201 import NasBench201
from tasks.sources import cifar100

LOOPBACK = ("127.", "::1", "localhost")


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    # The default fills new memory with NaN, which costs time and is refused by some transforms.
    torch.utils.deterministic.fill_uninitialized_memory = False


@pytest.fixture(autouse=True)
def _no_global_randomness() -> None:
    """Nothing should draw from the global generator; what does is at least the same in any order of tests."""
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Only connections to this machine, so that a test which needs the network fails everywhere."""
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and not str(address[0]).startswith(LOOPBACK):
            raise RuntimeError(f"tests may not use the network, got a connection to {address[0]}")
        connect(self, address)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_here)
        yield


@pytest.fixture
def float64() -> Iterator[None]:
    """New tensors are float64, for comparisons with finite differences and closed forms."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture
def real_data() -> Path:
    """The folder that METANAS_DATA names, with one folder a data set; without it the test is skipped."""
    named = os.environ.get("METANAS_DATA")
    if not named:
        pytest.skip("METANAS_DATA is not set; point it at a folder with data sets to run this test")
    if not Path(named).is_dir():
        pytest.fail(f"METANAS_DATA must name a folder, got {named}")
    return Path(named)


CIFAR10_NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def write_cifar10(root: Path, pixels: dict[str, Tensor], patch: pytest.MonkeyPatch) -> Path:
    """The batches of a CIFAR-10 with these images, uint8 `[n, 3, 32, 32]`, `n` in tens; returns their folder.

    Image `i` of a part is of class `i % 10`. The checksums of the files count as the published ones.
    """
    from tasks._compat import torchvision

    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    reader = torchvision.datasets.CIFAR10

    def write(name: str, content: dict[str, object]) -> list[str]:
        (folder / name).write_bytes(pickle.dumps(content))
        return [name, hashlib.md5((folder / name).read_bytes()).hexdigest()]

    def batch(name: str, images: Tensor) -> list[str]:
        return write(name, {"data": images.flatten(1).numpy(), "labels": [i % 10 for i in range(len(images))]})

    half = len(pixels["train"]) // 20 * 10
    parts = (pixels["train"][:half], pixels["train"][half:])
    patch.setattr(reader, "train_list", [batch(f"data_batch_{i}", part) for i, part in enumerate(parts)])
    patch.setattr(reader, "test_list", [batch("test_batch", pixels["test"])])
    name, digest = write("batches.meta", {"label_names": CIFAR10_NAMES})
    patch.setattr(reader, "meta", {"filename": name, "key": "label_names", "md5": digest})
    return folder


@pytest.fixture
def small_cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory with CIFAR-100 in class folders, noise of 4 images a class."""
    monkeypatch.setattr(cifar100, "PER_CLASS", 4)
    rng = torch.Generator().manual_seed(0)
    for name in (name for group in cifar100.superclasses().values() for name in group):
        path = tmp_path / "small" / cifar100.FOLDERS / name.split("/")[1]
        path.mkdir(parents=True)
        for i, pixels in enumerate(torch.randint(256, (4, 32, 32, 3), generator=rng).byte().numpy()):
            Image.fromarray(pixels).save(path / f"{i}.png", compress_level=1)
    return tmp_path / "small"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home directory, which is where the test stands, and no setting of W&B in the environment."""
    for name in [name for name in os.environ if name.startswith("WANDB")]:
        monkeypatch.delenv(name)
    path = tmp_path / "home"
    path.mkdir()
    for name in ("HOME", "NETRC", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(path) if name == "HOME" else str(path / name.lower()))
    monkeypatch.chdir(path)
    return path


@pytest.fixture(scope="session")
def invented() -> dict[str, np.ndarray]:
    """Every column, in an order that is not the order of genotypes; each accuracy is a number of its own."""
    space, rng = NasBench201(), np.random.default_rng(0)
    ops = np.array(np.unravel_index(rng.permutation(ROWS), (5,) * 6)).T.astype(np.int8)
    conv1, conv3 = (ops == 2).sum(1), (ops == 3).sum(1)
    places = np.arange(ROWS)
    columns: dict[str, np.ndarray] = {
        "ops": ops,
        "arch": np.array([space.write(tuple(row)) for row in ops.tolist()]),
        "params_m_cifar10": 0.073306 + 0.028 * conv1 + 0.24304 * conv3,
        "est_train_s_per_epoch_cifar10_half": 2.0 + conv3,
    }
    for shift, data in enumerate(("cifar10", "cifar100", "imagenet16")):
        columns[f"{data}_valid_12"] = 10.0 + 60 * places / ROWS + shift
        columns[f"{data}_test_200"] = 90.0 - 60 * places / ROWS - shift
    columns["cifar100_valid_200_seed"] = columns["cifar100_valid_12"] + 20
    columns["cifar10_halftrain_test_200_mean"] = columns["cifar10_test_200"] - 3
    return columns
