"""One HTTP/1.1 connection on an event loop. A request takes a small part of the time that a client library needs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Protocol, TypeAlias, cast
from urllib.parse import urlsplit

import httptools

from .requests import Reply, Request

#: Seconds after which a reply counts as lost. A long poll takes 30 (K2).
TIMEOUT = 90.0

#: Seconds that an idle connection is kept. Servers close one after 5 or more, and a request sent just then is lost.
KEEPALIVE = 2.0

#: What the parser raises: for what is no HTTP, and for a change of the protocol, which no request asks for.
_NOT_HTTP = (httptools.HttpParserError, httptools.HttpParserUpgrade)

_CLOSED = "the server closed the connection"

#: What is called with the reply to a request.
Answered: TypeAlias = Callable[[Reply], None]


class Connection(Protocol):
    """Carries one request at a time. Used on one event loop."""

    def send(self, request: Request, answered: Answered) -> None:
        """Send a request. `answered` is called with its reply, later. A lost one is a reply without a status."""

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
        self._opening: asyncio.Task[None] | None = None

    def send(self, request: Request, answered: Answered) -> None:
        """As `Connection.send`."""
        sent, stream = self._bytes_of(request), self._stream
        if stream is not None and stream.is_usable():
            stream.send(sent, answered)
        else:
            self.close()
            self._opening = asyncio.get_running_loop().create_task(self._open_and_send(sent, answered))

    def close(self) -> None:
        """Close the connection. The next request opens another one."""
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    async def _open_and_send(self, request: bytes, answered: Answered) -> None:
        loop, called = asyncio.get_running_loop(), self._now()
        stream = _Stream(loop, self._now)
        try:
            await loop.create_connection(lambda: stream, self._host, self._port, ssl=self._tls)
        except OSError as error:
            self._opening = None
            answered(_lost(called, self._now(), error))
        else:
            self._opening, self._stream = None, stream
            stream.send(request, answered)

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


def _lost(called: int, returned: int, error: Exception) -> Reply:
    return Reply(called, returned, problem=f"{type(error).__name__}: {error}")


class _Stream(asyncio.Protocol):
    """The bytes of one connection, and the reply that is being read.

    A connection has one parser and one timer: those of each request would be a good part of its cost. So would a future
    or a task, and another turn of the event loop for it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], int]) -> None:
        self._loop = loop
        self._now = now
        self._transport: asyncio.WriteTransport | None = None
        self._is_kept = True
        # The request under way.
        self._called = 0
        self._answered: Answered | None = None
        # By the clock of the loop: when the last request began, and when it ended.
        self._begun = self._ended = loop.time()
        self._timer: asyncio.TimerHandle | None = None
        # The reply that is being read, and the whole one.
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._reply: Reply | None = None

    def is_usable(self) -> bool:
        """Whether another request can be sent."""
        return self._transport is not None and self._is_kept and self._loop.time() - self._ended < KEEPALIVE

    def send(self, request: bytes, answered: Answered) -> None:
        """Send a request. `answered` gets its reply, also if that is lost."""
        self._answered, self._called, self._begun = answered, self._now(), self._loop.time()
        if self._transport is None:
            self._loop.call_soon(self._lose, ConnectionError(_CLOSED))
            return
        self._transport.write(request)
        if self._timer is None:
            self._watch()

    def _watch(self) -> None:
        """Lose a reply whose time is over, and look again when that of the next one may be."""
        left = self._begun + TIMEOUT - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._watch)
        else:
            self._timer = None
            self._lose(TimeoutError(f"no reply within {TIMEOUT:g} s"))

    def close(self) -> None:
        """Close the connection at once."""
        self._is_kept = False
        if self._transport is not None:
            self._transport.abort()

    def _lose(self, error: Exception) -> None:
        """Close the connection, and end the request under way without a reply."""
        self.close()
        self._hand_over(_lost(self._called, self._now(), error))

    def _hand_over(self, reply: Reply) -> None:
        """End the request under way, if there is one. This may send the next one, here or on another connection."""
        answered, self._answered, self._reply = self._answered, None, None
        if answered is not None:
            self._ended = self._loop.time()
            answered(reply)

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the request under way."""
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        self._lose(exc or ConnectionError(_CLOSED))

    def data_received(self, data: bytes) -> None:
        """Read a part of a reply. The parser is done with all of it before the next request goes out."""
        try:
            self._parser.feed_data(data)
        except _NOT_HTTP as error:
            self.close()
            if self._reply is None:
                self._lose(error)
        if self._reply is not None:
            self._hand_over(self._reply)

    # Called by the parser.

    def on_message_begin(self) -> None:
        """Begin a reply, which may be one of several: informational ones come before the answer.

        After the answer there is nothing to reply to. The next request must not take such a reply for its own.
        """
        self._headers, self._body = {}, []
        if self._answered is None or self._reply is not None:
            self._is_kept = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header under its name in lower case."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Keep the reply, with the moment of its last byte."""
        status = self._parser.get_status_code()
        if self._answered is not None and self._reply is None and status >= HTTPStatus.OK:
            self._is_kept = self._parser.should_keep_alive()  # afterwards the parser no longer knows
            self._reply = Reply(self._called, self._now(), status, self._headers, b"".join(self._body))
