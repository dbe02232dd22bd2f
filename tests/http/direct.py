"""Calls an ASGI application without a client in between: any bytes, any headers, and a client that goes away."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.types import ASGIApp, Message, Scope

    Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request_scope(method: str, target: str, headers: Headers = ()) -> Scope:
    """What a server makes of a request line and headers."""
    raw_path, _, query = target.encode("latin-1").partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote_to_bytes(raw_path).decode(errors="replace"),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": list(headers),
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8080),
        "state": {},
    }


@dataclass
class Connection:
    """A client's side of one request: it sends its body, and stays until it is told to go."""

    body: Iterable[bytes] = ()
    sent: list[Message] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._parts = iter(self.body)
        self._complete = False

    async def receive(self) -> Message:
        for part in self._parts:
            return {"type": "http.request", "body": part, "more_body": True}
        if not self._complete:
            self._complete = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    def answer(self) -> Answer:
        start, *bodies = self.sent
        assert start["type"] == "http.response.start"
        assert [part["type"] for part in bodies] == ["http.response.body"] * len(bodies)
        assert not bodies[-1].get("more_body", False)
        return Answer(start["status"], dict(start["headers"]), b"".join(part["body"] for part in bodies))


async def ask(app: ASGIApp, method: str, target: str, body: Iterable[bytes] = (), headers: Headers = ()) -> Answer:
    """One request, from its first byte to its last."""
    connection = Connection(body)
    await app(request_scope(method, target, headers), connection.receive, connection.send)
    return connection.answer()


def bearer(token: str) -> Headers:
    return [(b"authorization", f"Bearer {token}".encode())]
