"""Requests that parsers read in different ways, given to uvicorn as Go reads them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from codeq_fake.wire.gohttp import END_OF_HEAD, ORDINARY_LINE, TARGET, Head, check_lines, is_host, read_head

if TYPE_CHECKING:
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

#: Up to this size (bytes) each line of a head is checked as soon as it is there.
_CHECKED = 16_384
_CONNECTIONS = (b"close", b"keep-alive")
_CHUNKED = b"transfer-encoding: chunked\r\n"


class HeadReader:
    """The head of a request, while it comes. One that parsers read in different ways is held back and read here."""

    def __init__(self) -> None:
        #: The bytes of it that have come so far.
        self.source: bytes | bytearray = b""
        #: Whether it is held back: the parser gets nothing of it before it is complete.
        self.holds = False
        #: The head as it was read here, if it was held back.
        self.head: Head | None = None

    def take(self, data: bytes) -> bytes | None:
        """Take what has come of a head. Returns what the parser gets of it, None if nothing yet. Raises BadHead."""
        if not self.source:
            self.source = data
            self.holds = self.holds or not ORDINARY_LINE.match(data)
        else:
            if isinstance(self.source, bytes):
                self.source = bytearray(self.source)
            self.source += data
        return self._plain_head(len(data)) if self.holds else data

    def take_back(self) -> bytes:
        """Return what has come so far, of a head that the parser does not take, to begin with it again, held back."""
        source, self.source, self.holds = bytes(self.source), b"", True
        return source

    def clear(self) -> None:
        """The head is complete, or does not matter any more."""
        self.source, self.holds, self.head = b"", False, None

    def _plain_head(self, new: int) -> bytes | None:
        """If the head is complete, a stand-in for it that every parser reads alike, and what follows it; else None.

        The last `new` bytes have just come.
        """
        source = self.source
        end = END_OF_HEAD.search(source, max(0, len(source) - new - 2))
        if end is None:
            if len(source) <= _CHECKED and source.rfind(b"\n") >= max(0, len(source) - new - 1):
                check_lines(bytes(source))
            return None
        self.head = read_head(bytes(source[: end.end()]))
        self.holds = False
        return self.head.plain() + source[end.end() :]


class NotOrdinary(Exception):
    """The parser takes this head in another way than Go."""


def is_ordinary(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a head that the parser has taken means the same to Go."""
    values = dict(headers)
    host = values.get(b"host")
    if host is None or not is_host(host) or b"expect" in values or b"upgrade" in values:
        return False
    if b"connection" in values and values[b"connection"].lower() not in _CONNECTIONS:
        return False
    if b"transfer-encoding" in values and values[b"transfer-encoding"].lower() != b"chunked":
        return False
    return len(values) == len(headers) or sum(name == b"host" for name, _ in headers) == 1


def adopt(head: Head, scope: Any, cycle: RequestResponseCycle) -> None:  # noqa: ANN401 - uvicorn's type lacks our key
    """Put what this head says into the scope and the cycle: the parser has read the stand-in for it, `Head.plain`."""
    scope["method"] = head.method
    scope["path"], scope["raw_path"] = head.path, head.raw_path
    scope["query_string"], scope[TARGET] = head.query, head.target
    if head.is_old:
        scope["http_version"] = "1.0"
        cycle.keep_alive = head.keeps_alive
        writer: Any = OldReply(cycle.transport, keeps_alive=head.keeps_alive)
        cycle.transport = writer


class OldReply:
    """A transport for the reply to an HTTP/1.0 request: without chunks, and with that version."""

    def __init__(self, transport: asyncio.Transport, *, keeps_alive: bool) -> None:
        self._transport = transport
        self._keeps_alive = keeps_alive
        self._has_begun = self._has_chunks = False

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the transport has
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write the head or a part of the body."""
        if not self._has_begun:
            self._has_begun = True
            self._has_chunks = _CHUNKED in data
            data = self._head(data)
        elif self._has_chunks:
            # Only the content of the chunk, without its size and what ends it.
            _, _, data = data.partition(b"\r\n")
            data = data.removesuffix(b"0\r\n\r\n").removesuffix(b"\r\n")
        self._transport.write(data)

    def write_reply(self, head: bytes, body: bytes) -> None:
        """Write a whole reply."""
        self.write(head)
        self.write(body)

    def _head(self, data: bytes) -> bytes:
        head = data.replace(b"HTTP/1.1", b"HTTP/1.0", 1).replace(_CHUNKED, b"").replace(b"connection: close\r\n", b"")
        return head[:-2] + b"connection: keep-alive\r\n\r\n" if self._keeps_alive and not self._has_chunks else head
