"""The suite's webhook and keys in a container, for engines whose containers cannot reach this machine."""

from __future__ import annotations

import base64
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from codeq_contract.driver.hooks import Received
from codeq_contract.driver.webhooks import Receiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from testcontainers.core.container import DockerContainer

    from codeq_contract.driver.webhooks import Answer

PORT = 8000
PROGRAM = Path(__file__).with_name("webhook_program.py")


class RemoteReceiver(Receiver):
    """Answers and keeps requests as a Receiver does, by asking the program in the container."""

    def __init__(self, now: Callable[[], int], http: httpx.Client) -> None:
        super().__init__(now)
        self._http = http
        asked = now()
        theirs: int = http.get("/_now").json()
        # The engine's clock is another one.
        self._skew = (asked + now()) // 2 - theirs

    def answer(self, path: str, *answers: Answer) -> None:
        """As `Receiver.answer`."""
        self._http.post("/_answers", json={"path": path, "answers": [asdict(answer) for answer in answers]})

    def received(self, path: str) -> list[Received]:
        """As `Receiver.received`."""
        return [self._read(told) for told in self._http.get("/_received", params={"path": path}).json()]

    def _read(self, told: Mapping[str, Any]) -> Received:
        body = base64.b64decode(told["body"])
        return Received(told["at"] + self._skew, told["method"], told["path"], told["headers"], body)


@contextmanager
def receiving(container: DockerContainer, now: Callable[[], int], keys: Mapping[str, Any]) -> Iterator[RemoteReceiver]:
    """Talk to a container that is started and runs PROGRAM, and give it the `keys` that servers are to find there."""
    url = f"http://{container.get_container_host_ip()}:{container.get_exposed_port(PORT)}"
    with httpx.Client(base_url=url, verify=False) as http:  # noqa: S501 - there is nothing to verify
        http.post("/_keys", json=keys)
        yield RemoteReceiver(now, http)
