"""The suite's webhook: answers each path as a case told it to, and keeps what came."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from codeq_contract.driver.hooks import Receive, Received, Send, read_body

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping


@dataclass(frozen=True, slots=True)
class Answer:
    """What a webhook answers: a status, and where it redirects to; nothing at all if it `hangs`."""

    status: int = 200
    location: str | None = None
    hangs: bool = False


class Receiver:
    """An ASGI application. A path without answers left answers 200."""

    def __init__(self, now: Callable[[], int]) -> None:
        """`now` tells the moment at which a request came."""
        self._now = now
        self._answers: defaultdict[str, deque[Answer]] = defaultdict(deque)
        self._received: defaultdict[str, list[Received]] = defaultdict(list)

    def answer(self, path: str, *answers: Answer) -> None:
        """Answer the next requests to `path` so, one after another."""
        self._answers[path].extend(answers)

    def received(self, path: str) -> list[Received]:
        """The requests to `path` so far."""
        return list(self._received[path])

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        at = self._now()
        body = await read_body(receive)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        path = scope["path"]
        answer = self._answers[path].popleft() if self._answers[path] else Answer()
        self._received[path].append(Received(at, scope["method"], path, headers, body))
        if answer.hangs:
            await receive()  # that the other one has hung up
            return
        location = [] if answer.location is None else [(b"location", answer.location.encode())]
        await send({"type": "http.response.start", "status": answer.status, "headers": location})
        await send({"type": "http.response.body", "body": b""})
