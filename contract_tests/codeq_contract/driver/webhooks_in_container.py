"""The suite's webhook and keys in a container, for engines whose containers cannot reach this machine."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from .webhooks import Answer, Received, Receiver

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

PORT = 8000
PROGRAM = Path(__file__).with_name("webhook_program.py")


class RemoteReceiver(Receiver):
    """A receiver that keeps its answers and requests in the program in the container."""

    def __init__(self, now: Callable[[], int], http: httpx.Client) -> None:
        super().__init__(now)
        self._http = http
        asked = now()
        remote: int = http.get("/_now").json()
        # The engine has its own clock.
        self._skew = (asked + now()) // 2 - remote

    def answer(self, path: str, *answers: Answer) -> None:
        """As `Receiver.answer`."""
        self._http.post("/_answers", json={"path": path, "answers": [asdict(answer) for answer in answers]})

    def received(self, path: str) -> list[Received]:
        """As `Receiver.received`."""
        return [self._read(request) for request in self._http.get("/_received", params={"path": path}).json()]

    def _read(self, request: Mapping[str, Any]) -> Received:
        body = base64.b64decode(request["body"])
        return Received(request["at"] + self._skew, request["method"], request["path"], request["headers"], body)


@contextmanager
def receiving(container: DockerContainer, now: Callable[[], int], keys: Mapping[str, Any]) -> Iterator[RemoteReceiver]:
    """Connect to a started container that runs PROGRAM, and make it serve `keys`."""
    url = f"http://{container.get_container_host_ip()}:{container.get_exposed_port(PORT)}"
    with httpx.Client(base_url=url, verify=False) as http:  # noqa: S501 - plain HTTP
        http.post("/_keys", json=keys)
        yield RemoteReceiver(now, http)
