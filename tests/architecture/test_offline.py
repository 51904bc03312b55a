"""The unit suite keeps to this machine."""

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
