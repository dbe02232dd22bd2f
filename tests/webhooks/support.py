"""A receiver of callbacks on a loopback port, small enough to misbehave at will."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Mapping


@dataclass(frozen=True)
class Received:
    """A request as it came; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Receiver:
    """Answers each path as ``answers`` says, with 200 what is not in it."""

    answers: Mapping[str, bytes]
    hangs_up: bool
    """Whether it closes a connection itself; else it waits for the caller to do so."""
    port: int = 0
    received: list[Received] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a request has come."""
    connections: set[asyncio.Task[None] | None] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def seen(self) -> list[tuple[str, str, bytes]]:
        """Method, target and body of each request."""
        return [(request.method, request.target, request.body) for request in self.received]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        self.connections.add(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError):  # the caller hung up without a word
            request = await _read(reader)
            self.received.append(request)
            self.asked.set()
            writer.write(self.answers.get(request.target, answer(200)))
        if not self.hangs_up:
            await reader.read()
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Received:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Received(method, target, headers, await reader.readexactly(int(headers.get("content-length", 0))))


def answer(status: int, location: str | None = None, *, length: int = 0) -> bytes:
    """Write the head of an answer; a ``length`` promises a body that never comes."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Length: {length}"]
    if location is not None:
        lines.append(f"Location: {location}")
    return "\r\n".join([*lines, "", ""]).encode()


@asynccontextmanager
async def receiving(
    answers: Mapping[str, bytes] | None = None, *, hangs_up: bool = False, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """Listen on a loopback port of its own; at the end, wait until every caller has hung up."""
    receiver = Receiver(answers or {}, hangs_up)
    async with await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls) as server:
        receiver.port = server.sockets[0].getsockname()[1]
        yield receiver
        await asyncio.gather(*filter(None, receiver.connections))
