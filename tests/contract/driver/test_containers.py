"""Where the webhook of a run in containers listens on this machine."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from codeq_contract.driver import containers
from codeq_contract.driver.containers import Containers

pytestmark = pytest.mark.port


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ({"Subnet": "127.8.0.0/16", "Gateway": "127.8.0.9"}, "127.8.0.9"),
        ({"Subnet": "127.8.0.0/16"}, "127.8.0.1"),  # as an engine has it on its first start
        ({"Subnet": "192.0.2.0/24"}, "127.0.0.1"),  # no address of this machine: the engine forwards to loopback
        ({}, "127.0.0.1"),
    ],
)
def test_the_webhook_listens_on_the_address_of_the_bridge(
    monkeypatch: pytest.MonkeyPatch, network: dict[str, str], address: str
) -> None:
    bridge = SimpleNamespace(attrs={"IPAM": {"Config": [network]}})
    engine: Any = SimpleNamespace(networks=SimpleNamespace(get=lambda _name: bridge))
    monkeypatch.setattr(containers, "_engine", lambda: engine)
    with Containers("server", "store", "redis").receive(lambda: 0, {"keys": []}) as (_, url):
        port = urlsplit(url).port
        assert port is not None
        with socket.create_connection((address, port), timeout=5) as connection:
            assert connection.getpeername()[0] == address
