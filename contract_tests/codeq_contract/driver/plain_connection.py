"""One HTTP/1.1 connection on an event loop. A request takes a small part of the time that a client library needs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Protocol, cast
from urllib.parse import urlsplit

import httptools

from .requests import Reply, Request

#: Seconds after which a reply counts as lost. A long poll takes 30 (K2).
TIMEOUT = 90.0

#: Seconds that an idle connection is kept. Servers close one after 5 or more, and a request sent just then is lost.
KEEPALIVE = 2.0


#: What the parser raises. A change of the protocol is asked for by no request.
_NOT_HTTP = (httptools.HttpParserError, httptools.HttpParserUpgrade)


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
        self._shown_host = parts.netloc.rpartition("@")[2].encode()
        self._prefix = parts.path.rstrip("/").encode()
        self._now = now
        self._stream: _Stream | None = None

    async def exchange(self, request: Request) -> Reply:
        """Send a request and wait for its reply. A lost one is a reply without a status."""
        called = self._now()
        try:
            stream = self._stream
            if stream is None or not stream.is_usable():
                stream = await self._open()
            sent = self._bytes_of(request)
            called = self._now()
            return await stream.exchange(sent, called)
        except (OSError, *_NOT_HTTP) as error:
            self.close()
            return Reply(called, self._now(), problem=f"{type(error).__name__}: {error}")
        except asyncio.CancelledError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection. The next request opens another one."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    async def _open(self) -> _Stream:
        self.close()
        loop = asyncio.get_running_loop()
        self._stream = stream = _Stream(loop, self._now)
        await loop.create_connection(lambda: stream, self._host, self._port, ssl=self._tls)
        return stream

    def _bytes_of(self, request: Request) -> bytes:
        body = request.body or b""
        return b"%s %s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %d\r\n\r\n%s" % (
            request.method.encode(),
            self._prefix + request.target,
            self._shown_host,
            _lines_of(tuple(request.headers.items())),
            len(body),
            body,
        )


@lru_cache(maxsize=256)
def _lines_of(headers: Sequence[tuple[str, str]]) -> bytes:
    """The lines of these headers. Each caller sends the same ones again and again."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1")


class _Stream(asyncio.Protocol):
    """The bytes of one connection, and the reply that is being read.

    A connection has one parser and one timer: those of each request would be a good part of its cost.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], int]) -> None:
        self._loop = loop
        self._now = now
        self._transport: asyncio.WriteTransport | None = None
        self._is_kept = True
        # The request under way.
        self._called = 0
        self._answer: asyncio.Future[Reply] | None = None
        # By the clock of the loop: when the last request began, and when it ended.
        self._begun = self._ended = loop.time()
        self._timer: asyncio.TimerHandle | None = None
        # The reply that is being read.
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    def is_usable(self) -> bool:
        """Whether another request can be sent."""
        return self._transport is not None and self._is_kept and self._loop.time() - self._ended < KEEPALIVE

    async def exchange(self, request: bytes, called: int) -> Reply:
        """Send a request at the moment `called`, and wait for its reply. Raises ConnectionError or TimeoutError."""
        if self._transport is None:
            raise ConnectionError("the server closed the connection")
        self._called, self._begun = called, self._loop.time()
        self._answer = self._loop.create_future()
        self._transport.write(request)
        if self._timer is None:
            self._watch()
        return await self._answer

    def _watch(self) -> None:
        """Fail a request whose time is over, and look again when that of the next one may be."""
        left = self._begun + TIMEOUT - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._watch)
        else:
            self._timer = None
            self._fail(TimeoutError(f"no reply within {TIMEOUT:g} s"))

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
        if self._timer is not None:
            self._timer.cancel()
        self._fail(exc or ConnectionError("the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        """Read a part of a reply."""
        try:
            self._parser.feed_data(data)
        except _NOT_HTTP as error:
            self._is_kept = False
            self._fail(error)
            self.close()

    # Called by the parser.

    def on_message_begin(self) -> None:
        """Begin a reply, which may be one of several: informational ones come before the answer.

        After the answer there is nothing to reply to. The next request must not take such a reply for its own.
        """
        self._headers, self._body = {}, []
        if self._answer is None or self._answer.done():
            self._is_kept = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header under its name in lower case."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Hand over the reply, with the moment of its last byte."""
        status = self._parser.get_status_code()
        if self._answer is not None and not self._answer.done() and status >= HTTPStatus.OK:
            self._is_kept = self._parser.should_keep_alive()  # afterwards the parser no longer knows
            self._ended = self._loop.time()
            self._answer.set_result(Reply(self._called, self._now(), status, self._headers, b"".join(self._body)))
