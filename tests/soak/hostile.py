"""Clients that do everything wrong, each in a loop, at a bounded rate. None of them leaves a task behind for others."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections import Counter
    from collections.abc import AsyncIterator, Callable, Coroutine

#: The longest that a hostile client keeps a connection that does nothing (s).
_PATIENCE = 1.5
#: How long each rests between two connections, on average (s).
_REST = 0.02
_RESET = struct.pack("ii", 1, 0)

_TASKS = "/v1/codeq/tasks"
_ODD_REQUESTS = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /_fake/health HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"POST /v1/codeq/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/codeq/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"POST /v1/codeq/tasks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    b"POST /v1/codeq/tasks HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
    b"GET /v1/codeq/tasks/%00%ff%2e%2e HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer dev-token\r\n\r\n",
    b"GET /_fake/page/..%2f..%2fetc%2fpasswd HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\n\r\n",
)
_ODD_BODIES = (b"[" * 500, b'{"commands":[', b"\xff\xfe", b'{"a":' * 200)


class Hostile:
    """All hostile clients of one server."""

    def __init__(self, host: str, port: int, chance: random.Random, counts: Counter[str]) -> None:
        self._address = (host, port)
        self._chance = chance
        self._counts = counts
        #: How many of each there are, side by side.
        self.clients: dict[Callable[[], Coroutine[None, None, None]], int] = {
            self.send_garbage: 4,
            self.send_and_reset: 10,
            self.read_slowly: 3,
            self.send_slowly: 5,
            self.abandon_a_long_poll: 5,
            self.abandon_a_stream: 3,
            self.send_without_reading: 2,
            self.close_halfway: 2,
            self.send_many_values: 1,
        }

    async def run(self, client: Callable[[], Coroutine[None, None, None]], until: asyncio.Event) -> None:
        """Let one client go on until the event is set."""
        while not until.is_set():
            with suppress(OSError, TimeoutError):
                await client()
            self._counts[client.__name__] += 1
            await asyncio.sleep(self._chance.uniform(0, 2 * _REST))

    async def send_garbage(self) -> None:
        """Send bytes that are not a request, or nearly one."""
        async with self._connection() as (reader, writer):
            odd = bytearray(self._chance.choice(_ODD_REQUESTS))
            for _ in range(self._chance.randrange(3)):
                odd[self._chance.randrange(len(odd))] = self._chance.randrange(256)
            writer.write(bytes(odd))
            await asyncio.wait_for(reader.read(10_000), 0.2)

    async def send_and_reset(self) -> None:
        """Send some requests in a row, and reset the connection before, between or after their replies."""
        async with self._connection() as (reader, writer):
            for _ in range(self._chance.randrange(3)):
                writer.write(self._request())
                await asyncio.wait_for(reader.read(65_536), _PATIENCE)
            writer.write(b"".join(self._request() for _ in range(self._chance.randint(1, 5))))
            await asyncio.sleep(self._chance.choice((0, 0, 0.0002, 0.001)))
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    async def read_slowly(self) -> None:
        """Ask for large replies, and read a few bytes of them."""
        async with self._connection() as (reader, writer):
            # The reply shows the task that the first of these requests has created.
            large = {"command": "HOSTILE", "payload": "x" * 50_000, "idempotencyKey": "large"}
            for _ in range(5):
                writer.write(_request("POST", _TASKS, large))
            for _ in range(10):
                await reader.read(100)
                await asyncio.sleep(_PATIENCE / 10)

    async def send_without_reading(self) -> None:
        """Send many requests in a row, and read none of the replies."""
        async with self._connection() as (_, writer):
            writer.write(self._request() * 200)
            await asyncio.wait_for(writer.drain(), _PATIENCE)
            await asyncio.sleep(self._chance.uniform(0, _PATIENCE))

    async def close_halfway(self) -> None:
        """Send a long poll or another request, then say that nothing more comes, and wait for the reply."""
        async with self._connection() as (reader, writer):
            poll = _request("POST", f"{_TASKS}/claim", {"commands": ["NOTHING"], "waitSeconds": 1})
            writer.write(self._chance.choice((poll, self._request())))
            writer.write_eof()
            await asyncio.wait_for(reader.read(65_536), _PATIENCE)

    async def send_many_values(self) -> None:
        """Send a body that takes long to decode."""
        async with self._connection() as (reader, writer):
            writer.write(_request("POST", f"{_TASKS}/claim", raw=b"[" + b'{"a":1.5e3},' * 20_000 + b"1]"))
            await asyncio.wait_for(reader.read(65_536), _PATIENCE)
            await asyncio.sleep(_PATIENCE)

    async def send_slowly(self) -> None:
        """Send a request in small pieces, and not to its end."""
        async with self._connection() as (_, writer):
            whole = self._request()
            for start in range(0, len(whole) - 1, 40):
                writer.write(whole[start : start + 40])
                await asyncio.sleep(_PATIENCE / 10)

    async def abandon_a_long_poll(self) -> None:
        """Begin to wait for a task, and close the connection."""
        async with self._connection() as (_, writer):
            writer.write(_request("POST", f"{_TASKS}/claim", {"commands": ["NOTHING"], "waitSeconds": 30}))
            await asyncio.sleep(self._chance.uniform(0, _PATIENCE))

    async def abandon_a_stream(self) -> None:
        """Look at the page's live updates, and close the connection."""
        async with self._connection() as (reader, writer):
            writer.write(b"GET /_fake/page/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await asyncio.wait_for(reader.read(1000), _PATIENCE)
            await asyncio.sleep(self._chance.uniform(0, 1))

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            yield reader, writer
        finally:
            writer.close()

    def _request(self) -> bytes:
        """A request that creates at most one task, however often it is sent."""
        return self._chance.choice(
            (
                _request("POST", _TASKS, {"command": "HOSTILE", "payload": 1, "idempotencyKey": "one"}),
                _request("POST", f"{_TASKS}/claim", {"commands": ["NOTHING"]}),
                _request("GET", f"{_TASKS}/unknown"),
                _request("GET", "/metrics"),
                _request("POST", f"{_TASKS}/claim", raw=self._chance.choice(_ODD_BODIES)),
            )
        )


def _request(method: str, path: str, body: object = None, *, raw: bytes | None = None) -> bytes:
    content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer dev-token\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content
