"""A light HTTP server for simulated worlds: what a client needs of HTTP/1.1, with less work than uvicorn.

It reads requests by httptools, and calls the ASGI application. A connection is closed after some seconds without a
request, and at once after a request that cannot be read. There are no limits of connections, heads and bodies.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import httptools
from starlette.types import ASGIApp, Message, Scope

from codeq_fake.serving.server import DEFAULT_LIMITS, connection_state

#: Statuses of replies without a body.
_BODYLESS = (204, 304)
_STATUS_LINES = {status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}


class LightConnection(asyncio.Protocol):
    """One connection of a client. Its requests are answered one after the other."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._parser = httptools.HttpRequestParser(self)
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body = b""
        #: Requests that wait for the reply to the one before.
        self._waiting: deque[_Exchange] = deque()
        self._current: _Exchange | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The client has connected."""
        self._transport = transport
        self._idle_timer = self._loop.call_later(DEFAULT_LIMITS.head_seconds, transport.close)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request have come."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio calls it so
        """The client is gone."""
        self._stop_idling()
        for exchange in (self._current, *self._waiting):
            if exchange is not None:
                exchange.gone.set()
        self._waiting.clear()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A request begins."""
        self._stop_idling()
        self._url, self._headers, self._body = b"", [], b""

    def on_url(self, url: bytes) -> None:
        """A part of its target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of its headers."""
        self._headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        """A part of its body."""
        self._body += body

    def on_message_complete(self) -> None:
        """The request is complete."""
        is_last = not self._parser.should_keep_alive()
        self._waiting.append(_Exchange(self._scope(), self._body, self._transport, is_last=is_last))
        if self._current is None:
            self._begin_next()

    # Answers.

    def _begin_next(self) -> None:
        self._current = self._waiting.popleft()
        _ = self._loop.create_task(self._answer(self._current))

    async def _answer(self, exchange: _Exchange) -> None:
        await self._app(exchange.scope, exchange.receive, exchange.send)
        self._current = None
        if exchange.gone.is_set():
            return
        if exchange.is_last:
            self._transport.close()
        elif self._waiting:
            self._begin_next()
        else:
            self._idle_timer = self._loop.call_later(_idle_seconds(), self._transport.close)

    def _stop_idling(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _scope(self) -> Scope:
        path, _, query = self._url.partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": self._parser.get_http_version(),
            "method": self._parser.get_method().decode(),
            "headers": self._headers,
            "scheme": "http",
            "path": unquote(path.decode("ascii", "replace")),
            "raw_path": path,
            "query_string": query,
            "server": self._transport.get_extra_info("sockname"),
            "client": self._transport.get_extra_info("peername"),
            "root_path": "",
            "state": connection_state(self._transport),
        }


def _idle_seconds() -> float:
    """How long a connection may be idle (s): up to a second more than the limit, as uvicorn looks once a second."""
    return DEFAULT_LIMITS.idle_seconds + random.random()  # noqa: S311 - of the world, by its seed


class _Exchange:
    """A request, and the reply as the application sends it."""

    def __init__(self, scope: Scope, body: bytes, transport: asyncio.Transport, *, is_last: bool) -> None:
        self.scope = scope
        #: Whether the connection is closed after it.
        self.is_last = is_last
        #: Set when the client is gone.
        self.gone = asyncio.Event()
        self._body: bytes | None = body
        self._transport = transport
        self._head = b""

    async def receive(self) -> Message:
        """The body, then nothing until the client is gone."""
        body, self._body = self._body, None
        if body is None:
            await self.gone.wait()
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        """Send a part of the reply. The head goes with the first part of the body."""
        if message["type"] == "http.response.start":
            status, headers = message["status"], list(message["headers"])
            if status not in _BODYLESS and not any(name == b"content-length" for name, _ in headers):
                self.is_last = True  # its end is that of the connection
            if self.is_last:
                headers.append((b"connection", b"close"))
            lines = (b"%b: %b\r\n" % header for header in headers)
            self._head = b"".join((_STATUS_LINES[status], *lines, b"\r\n"))
        elif not self.gone.is_set():
            head, self._head = self._head, b""
            self._transport.write(head + message.get("body", b""))
