"""The webhook of a replay: answers as the recorded one did, and keeps what it was sent."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codeq_contract.recordings.format import Callback

ORIGIN = "http://hooks.test"
"""Where the recorded sessions had their webhooks."""

#: The setting that callbacks are signed with, and the headers by which they are (W2).
SECRET_SETTING = "WEBHOOK_HMAC_SECRET"  # noqa: S105 - its name
SIGNATURE = ("x-codeq-timestamp", "x-codeq-signature")

#: What a recording keeps of a callback's headers.
CALLBACK_HEADERS = ("content-type", "user-agent", "traceparent", *SIGNATURE)

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Received:
    """A request to the webhook, made at nanosecond `at` of the fake's clock."""

    at: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Hooks:
    """An ASGI application that gives each path its recorded answers in turn; a path without any left gets 200."""

    def __init__(self, callbacks: Iterable[Callback], clock: Callable[[], Awaitable[int]]) -> None:
        """`clock` tells the fake's time, in nanoseconds since 1970."""
        self.received: list[Received] = []
        self._clock = clock
        self._answers: defaultdict[str, deque[Callback]] = defaultdict(deque)
        for callback in callbacks:
            self._answers[callback.path].append(callback)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one request."""
        body = await read_body(receive)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        self.received.append(Received(await self._clock(), scope["method"], scope["path"], headers, body))
        status, reply_headers = self._next_answer(scope["path"])
        await send({"type": "http.response.start", "status": status, "headers": reply_headers})
        await send({"type": "http.response.body", "body": b""})

    def _next_answer(self, path: str) -> tuple[int, list[tuple[bytes, bytes]]]:
        if not self._answers[path]:
            return 200, []
        callback = self._answers[path].popleft()
        return callback.status, [] if callback.location is None else [(b"location", callback.location.encode())]


async def read_body(receive: Receive) -> bytes:
    """The whole body of a request."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)
