"""Where the webhook of a run in containers listens on this machine, and how it is proved that containers reach it."""

from __future__ import annotations

import io
import socket
import tarfile
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from codeq_contract.driver.host_address import address_for
from codeq_contract.driver.servers import NotRunError

pytestmark = pytest.mark.port

HOST = "host.docker.internal"
HOSTS = "127.0.0.1 localhost\n# 127.8.8.8 host.docker.internal\n{address} host.docker.internal\n172.17.0.2 me\n"


class Container:
    """A container to which this machine has an `address`. Its connections go `to` another one, or nowhere."""

    def __init__(self, address: str, to: str | None) -> None:
        self._address, self._to = address, to
        self.tried: list[Sequence[str]] = []

    def get_archive(self, path: str) -> tuple[Iterator[bytes], dict[str, Any]]:
        assert path == "/etc/hosts"
        content, stream = HOSTS.format(address=self._address).encode(), io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            file = tarfile.TarInfo("hosts")
            file.size = len(content)
            archive.addfile(file, io.BytesIO(content))
        return iter([stream.getvalue()[:100], stream.getvalue()[100:]]), {}

    def exec_run(self, command: Sequence[str], *, detach: bool) -> None:
        assert detach, "a connection that a firewall drops would take minutes"
        self.tried.append(command)
        if self._to is not None:
            socket.create_connection((self._to, int(command[4])), timeout=5).close()


@pytest.mark.parametrize(
    ("address", "listens"),
    [
        ("127.8.5.1", "127.8.5.1"),  # the bridge's, wherever it is in its network
        ("192.0.2.200", "127.0.0.1"),  # none of this machine's: the engine forwards to loopback
    ],
)
def test_it_listens_where_a_container_reaches_it(address: str, listens: str) -> None:
    container: Any = Container(address, to=listens)
    assert address_for(container, HOST) == listens
    assert container.tried[0][:3] == ["redis-cli", "-h", HOST]


@pytest.mark.parametrize("address", ["127.8.5.1", "192.0.2.200"])
def test_a_machine_that_containers_cannot_reach_is_told_with_the_remedy(address: str) -> None:
    container: Any = Container(address, to=None)
    with pytest.raises(NotRunError) as refused:
        address_for(container, HOST, patience=0.05)
    said = str(refused.value)
    assert f"containers cannot reach this machine: to them {HOST} is {address}, but no connection to port" in said
    assert "firewall" in said
    assert "--receiver-image" in said
