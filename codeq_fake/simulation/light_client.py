"""A light transport for httpx in simulated worlds: HTTP/1.1 over the simulated network, with less work than httpx's."""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
import httpx


class LightTransport(httpx.AsyncBaseTransport):
    """Sends each request on an idle connection or a new one, as httpx does. It speaks no TLS and uses no proxies.

    The read timeout counts for the whole reply, not for each part of it.
    """

    def __init__(self) -> None:
        self._idle: dict[tuple[str, int], list[_Connection]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, and return its reply. Raises httpx.TransportError."""
        timeouts = request.extensions.get("timeout", {})
        address = request.url.host, request.url.port or 80
        connection = self._take_idle(address) or await self._connect(address, timeouts.get("connect"))
        content = _encoded(request, await request.aread())
        try:
            async with asyncio.timeout(timeouts.get("read")):
                response = await connection.exchange(content)
        except TimeoutError:
            raise httpx.ReadTimeout("no whole reply in time", request=request) from None
        finally:
            if connection.is_busy:  # an exchange that was cut short
                connection.close()
        if connection.is_open:
            self._idle.setdefault(address, []).append(connection)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    async def _connect(self, address: tuple[str, int], seconds: float | None) -> _Connection:
        """Open a new connection. Raises httpx.ConnectError or httpx.ConnectTimeout."""
        try:
            async with asyncio.timeout(seconds):
                _, connection = await asyncio.get_running_loop().create_connection(_Connection, *address)
        except TimeoutError:
            raise httpx.ConnectTimeout(f"no connection to {address[0]} in time") from None
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error
        return connection

    def _take_idle(self, address: tuple[str, int]) -> _Connection | None:
        """Take an idle connection that is still open, None if there is none."""
        idle = self._idle.get(address, [])
        while idle:
            connection = idle.pop()
            if connection.is_open:
                return connection
        return None


class _Connection(asyncio.Protocol):
    """One connection to a server."""

    def __init__(self) -> None:
        self.is_open = False
        self._transport: Any = None
        self._parser = httptools.HttpResponseParser(self)
        self._reply: asyncio.Future[httpx.Response] | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []

    @property
    def is_busy(self) -> bool:
        """Whether it waits for a reply."""
        return self._reply is not None

    async def exchange(self, content: bytes) -> httpx.Response:
        """Send a request, and wait for its reply. Raises httpx.TransportError."""
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.write(content)
        response = await self._reply
        self._reply = None
        return response

    def close(self) -> None:
        """Close it."""
        self.is_open = False
        self._reply = None
        self._transport.close()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there."""
        self._transport = transport
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """A part of a reply has come."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(httpx.RemoteProtocolError(str(error)))

    def connection_lost(self, exc: Exception | None) -> None:
        """The server is gone, or has closed it."""
        self.is_open = False
        if exc is None:
            self._fail(httpx.RemoteProtocolError("Server disconnected without sending a response."))
        else:
            self._fail(httpx.ReadError(str(exc)))

    def _fail(self, error: httpx.TransportError) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(error)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """A reply begins."""
        self._headers, self._parts = [], []

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of its headers."""
        self._headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        """A part of its body."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """It is complete."""
        if self._reply is not None and not self._reply.done():
            content = httpx.ByteStream(b"".join(self._parts))
            status = self._parser.get_status_code()
            self.is_open = self.is_open and self._parser.should_keep_alive()
            self._reply.set_result(httpx.Response(status, headers=self._headers, stream=content))


def _encoded(request: httpx.Request, body: bytes) -> bytes:
    """A request as the bytes of HTTP/1.1."""
    head = b"%b %b HTTP/1.1\r\n" % (request.method.encode(), request.url.raw_path)
    return b"".join((head, *(b"%b: %b\r\n" % header for header in request.headers.raw), b"\r\n", body))
