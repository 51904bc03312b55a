"""The unit suite keeps to this machine, and one verb alone downloads anything."""

import ast
import os
import socket

import pytest
import torch


def test_a_connection_to_elsewhere_is_refused():
    with socket.socket() as client, pytest.raises(RuntimeError, match="may not use the network"):
        client.connect(("192.0.2.1", 80))  # reserved for documentation


def test_a_connection_to_this_machine_is_made():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())


def test_tests_run_on_one_thread_and_track_nothing():
    assert torch.get_num_threads() == 1
    assert os.environ["WANDB_MODE"] in ("disabled", "offline")


@pytest.mark.usefixtures("float64")
def test_float64_is_the_default_where_asked_for():
    assert torch.ones(1).dtype == torch.float64


MAY_IMPORT = {
    "urllib.request": "tasks.download",
    "http.client": "tasks.download",
    "tasks.download": "tasks.fetch",
    "tasks.fetch": "metanas.run.fetch",
    "metanas.run.fetch": "metanas.cli",
}
"""What reaches out, and the only module that may ask it to: nothing but a verb of its own downloads anything."""
CLIENTS = {"ftplib", "requests", "httpx", "urllib3", "aiohttp"}


def reaching_out(source) -> list[str]:
    """Imports, and calls with `download=True`, by which a module would use the network on its own account."""
    found = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            found += ["download=True" for word in node.keywords if ast.unparse(word) == "download=True"]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            base = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            names = [f"{base}{alias.name}." for alias in node.names]
            found += [name for name in names if name.split(".")[0] in CLIENTS]
            found += [
                name
                for name in names
                for module, importer in MAY_IMPORT.items()
                if name.startswith(f"{module}.") and source.name != importer
            ]
    return found


def test_only_the_verb_that_fetches_uses_the_network(sources):
    assert {source.name: found for source in sources if (found := reaching_out(source))} == {}
    assert set(MAY_IMPORT.values()) <= {source.name for source in sources}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tasks.sources.omniglot", "from urllib.request import urlopen"),
        ("tasks.sources.omniglot", "def get():\n    import requests"),
        ("tasks.sources.omniglot", "from tasks.fetch import fetch"),
        ("tasks.sources.omniglot", "torchvision.datasets.Omniglot(root, download=True)"),
        ("metanas.run.build", "from tasks import download"),
        ("metanas.run.meta_train", "from metanas.run.fetch import fetch_source"),
    ],
)
def test_a_module_that_reaches_out_is_found(module, name, text):
    assert len(reaching_out(module(name, text))) == 1


def test_the_download_may_reach_out(module):
    assert reaching_out(module("tasks.download", "from urllib.request import urlopen")) == []
