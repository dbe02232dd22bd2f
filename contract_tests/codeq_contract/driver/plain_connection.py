"""One HTTP/1.1 connection on an event loop. A request takes a small part of the time that a client library needs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Protocol, cast
from urllib.parse import urlsplit

import httptools

from .requests import Reply, Request

#: Seconds after which a reply counts as lost. A long poll takes 30 (K2).
TIMEOUT = 90.0

#: Seconds that an idle connection is kept. Servers close one after 5 or more, and a request sent just then is lost.
KEEPALIVE = 2.0


class Connection(Protocol):
    """Carries one request at a time."""

    async def exchange(self, request: Request) -> Reply:
        """Send a request and wait for its reply. A lost one is a reply without a status."""

    def close(self) -> None:
        """Close the connection."""


class PlainConnection:
    """A connection to the server at `url`, for one request at a time. It is opened when it is needed.

    `now` tells the moment in nanoseconds since 1970.
    """

    def __init__(self, url: str, now: Callable[[], int]) -> None:
        parts = urlsplit(url)
        is_safe = parts.scheme == "https"
        self._tls = ssl.create_default_context() if is_safe else None
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if is_safe else 80)
        self._shown_host = parts.netloc.rpartition("@")[2]
        self._prefix = parts.path.rstrip("/").encode()
        self._now = now
        self._stream: _Stream | None = None
        self._idle_since = 0.0

    async def exchange(self, request: Request) -> Reply:
        """Send a request and wait for its reply. A lost one is a reply without a status."""
        called = self._now()
        try:
            stream = await self._opened()
            called = self._now()
            returned = await stream.exchange(self._bytes_of(request))
        except (OSError, httptools.HttpParserError) as error:
            self.close()
            return Reply(called, self._now(), problem=f"{type(error).__name__}: {error}")
        except asyncio.CancelledError:
            self.close()
            raise
        self._idle_since = asyncio.get_running_loop().time()
        return Reply(called, returned, stream.parser.get_status_code(), stream.headers, b"".join(stream.body))

    def close(self) -> None:
        """Close the connection. The next request opens another one."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    async def _opened(self) -> _Stream:
        loop = asyncio.get_running_loop()
        stream = self._stream
        if stream is None or not stream.is_usable or loop.time() - self._idle_since > KEEPALIVE:
            self.close()
            new = _Stream(self._now)
            await loop.create_connection(lambda: new, self._host, self._port, ssl=self._tls)
            self._stream = stream = new
        return stream

    def _bytes_of(self, request: Request) -> bytes:
        headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        body = request.body or b""
        return b"%s %s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %d\r\n\r\n%s" % (
            request.method.encode(),
            self._prefix + request.target,
            self._shown_host.encode(),
            headers.encode("latin-1"),
            len(body),
            body,
        )


class _Stream(asyncio.Protocol):
    """The bytes of one connection, and the reply that is being read."""

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self._transport: asyncio.WriteTransport | None = None
        self._answer: asyncio.Future[int] | None = None
        self._is_kept = True
        self.parser = httptools.HttpResponseParser(self)
        self.headers: dict[str, str] = {}
        self.body: list[bytes] = []

    @property
    def is_usable(self) -> bool:
        """Whether another request can be sent."""
        return self._transport is not None and self._is_kept

    async def exchange(self, request: bytes) -> int:
        """Send a request. Returns the moment at which its reply had arrived. Raises ConnectionError or TimeoutError."""
        if self._transport is None:
            raise ConnectionError("the server closed the connection")
        loop = asyncio.get_running_loop()
        self.parser, self.headers, self.body = httptools.HttpResponseParser(self), {}, []
        self._answer = loop.create_future()
        self._transport.write(request)
        deadline = loop.call_later(TIMEOUT, self._fail, TimeoutError(f"no reply within {TIMEOUT:g} s"))
        try:
            return await self._answer
        finally:
            deadline.cancel()

    def close(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, error: Exception) -> None:
        """End the request under way without a reply."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the request under way."""
        self._transport = None
        self._fail(exc or ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        """Read a part of a reply."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(error)
            self.close()

    # Called by the parser.

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header under its name in lower case."""
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self.body.append(body)

    def on_message_complete(self) -> None:
        """Hand over the moment of the last byte."""
        self._is_kept = self.parser.should_keep_alive()  # afterwards the parser no longer knows
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(self._now())
