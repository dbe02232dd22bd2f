"""The address on which this machine listens for containers. Found in one, and proved from it before any case."""

from __future__ import annotations

import io
import socket
import tarfile
from contextlib import suppress
from typing import TYPE_CHECKING

from .servers import NotRunError

if TYPE_CHECKING:
    from docker.models.containers import Container

_LOOPBACK = "127.0.0.1"
#: Seconds in which a container must reach this machine.
_PATIENCE = 10.0
_HOSTS = "/etc/hosts"


def address_for(container: Container, host: str, *, patience: float = _PATIENCE) -> str:
    """An address of this machine at which the running `container` reaches it by the name `host`.

    The container's image must have redis-cli. Raises NotRunError if no connection arrives.
    """
    named = _named(container, host)
    address = named if _is_ours(named) else _LOOPBACK  # some engines forward their name of this machine to loopback
    with socket.create_server((address, 0)) as listener:
        listener.settimeout(patience)
        port = listener.getsockname()[1]
        container.exec_run(["redis-cli", "-h", host, "-p", str(port), "PING"], detach=True)
        with suppress(TimeoutError):
            listener.accept()[0].close()
            return address
    raise NotRunError(
        f"containers cannot reach this machine: to them {host} is {named or 'unknown'}, but no connection to port "
        f"{port} of {address} arrived within {patience:g} s; let this machine's firewall accept connections from the "
        "engine's networks, or let the webhook and the keys run in a container: --receiver-image python:3.12-slim"
    )


def _named(container: Container, host: str) -> str:
    """The address that has the name `host` in a container. Empty if there is none.

    The engine itself wrote it there. What it says of its bridge may lack the gateway, as after its first start.
    """
    stream, _ = container.get_archive(_HOSTS)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        file = archive.extractfile(archive.getmembers()[0])
        lines = file.read().decode().splitlines() if file else []
    entries = (line.partition("#")[0].split() for line in lines)
    return next((entry[0] for entry in entries if host in entry[1:]), "")


def _is_ours(address: str) -> bool:
    """Whether this machine can listen on an address."""
    try:
        with socket.create_server((address, 0)):
            return bool(address)
    except OSError:
        return False
